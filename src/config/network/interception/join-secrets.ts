import { InvalidConfigError } from "../../../errors/index.ts";
import { matchesHost, type HostPattern } from "./host-pattern.ts";
import type { SecretConfig } from "./secret-type.ts";
import type { SecretMaterial } from "./secret-material.ts";

interface Secrets {
  readonly secrets: readonly SecretConfig[];
  readonly given: { readonly secrets: SecretMaterial };
}

/**
 * Secrets that were said in several places. What is read back has each of them in two: one that is said twice in the same words is one.
 *
 * @throws InvalidConfigError for two in one variable, and for two that a host cannot tell from each other
 */
export function joinSecrets(earlier: Secrets, later: Secrets): { readonly secrets: readonly SecretConfig[] } {
  const secrets = [...earlier.secrets];
  for (const secret of later.secrets) {
    const before = secrets.find(({ envVar }) => envVar === secret.envVar);
    if (before === undefined) secrets.push(secret);
    else if (!isSame(before, secret) || isGivenTwice(secret.envVar, earlier, later)) {
      throw new InvalidConfigError(
        `secret #${secrets.length}: there is a secret in the environment variable ${secret.envVar} already`,
        { hint: "Give it another variable, or all of its hosts in one call." },
      );
    }
  }
  for (const [index, secret] of secrets.entries()) refuseTwin(index, secret, secrets.slice(0, index));
  return { secrets };
}

/** Both are made by one function, which writes their fields in one order. */
function isSame(one: SecretConfig, other: SecretConfig): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function isGivenTwice(envVar: string, earlier: Secrets, later: Secrets): boolean {
  const [one, other] = [earlier.given.secrets.get(envVar), later.given.secrets.get(envVar)];
  return one !== undefined && other !== undefined && one.reveal() !== other.reveal();
}

/** One placeholder may stand for several secrets where each host has one of them. */
function refuseTwin(index: number, secret: SecretConfig, others: readonly SecretConfig[]): void {
  const twin = others.find(
    (other) => other.placeholder === secret.placeholder && shareHost(other.hosts, secret.hosts),
  );
  if (twin === undefined) return;
  throw new InvalidConfigError(
    `secret #${index}: ${secret.envVar} has the placeholder of ${twin.envVar}, and a host of it too`,
    { hint: "Give one of them another placeholder, or leave it out: then it is $MSB_ and the variable." },
  );
}

function shareHost(some: readonly HostPattern[], others: readonly HostPattern[]): boolean {
  return some.some((one) => others.some((other) => covers(one, other) || covers(other, one)));
}

/** Whether a name of the second is one of the first. */
function covers(pattern: HostPattern, other: HostPattern): boolean {
  return matchesHost(pattern, other.startsWith("*.") ? other.slice(2) : other);
}
