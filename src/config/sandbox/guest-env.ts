import { InvalidConfigError } from "../../errors/index.ts";
import type { EnvPair } from "../env.ts";
import type { SecretConfig } from "../network/interception/secret-type.ts";

interface Parts {
  readonly env: readonly EnvPair[];
  readonly network: { readonly secrets: readonly Pick<SecretConfig, "envVar" | "placeholder">[] } | null;
}

/** What the commands of a sandbox have in their environment: for each secret its placeholder. */
export function guestEnv({ env, network }: Parts): readonly EnvPair[] {
  const secrets = (network?.secrets ?? []).map(({ envVar, placeholder }): EnvPair => [envVar, placeholder]);
  return [...new Map([...env, ...secrets])];
}

/** @throws InvalidConfigError for a variable that is to have a placeholder, and something else too */
export function checkSecretEnv(
  env: readonly EnvPair[],
  secrets: readonly Pick<SecretConfig, "envVar">[],
): void {
  const names = new Set(env.map(([name]) => name));
  const index = secrets.findIndex(({ envVar }) => names.has(envVar));
  const secret = secrets[index];
  if (secret === undefined) return;
  throw new InvalidConfigError(
    `secret #${index}: the environment variable ${secret.envVar} is set by env too`,
    {
      hint: "Leave it out there: the guest has the secret's placeholder in it.",
    },
  );
}
