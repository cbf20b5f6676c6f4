import * as v from "valibot";
import { InvalidConfigError, RuntimeError } from "../../../errors/index.ts";
import { secretsSchema } from "../interception/interception-schema.ts";
import type { SecretConfig } from "../interception/secret-type.ts";
import { filledTls, plainTls, tlsSettingsOf } from "../interception/tls-settings.ts";
import type { StoredNetwork } from "../network-of.ts";

/** What a running sandbox's supervisor is asked to make of its secrets. */
export interface SecretsChange {
  /** As whoever asks has found them: who was too late is told. */
  readonly expected: readonly SecretConfig[];
  /** As they are to be. */
  readonly secrets: readonly SecretConfig[];
  /** Values that are new; null: there is none any more. */
  readonly values: Readonly<Record<string, string | null>>;
}

const schema: v.GenericSchema<unknown, SecretsChange> = v.object({
  expected: secretsSchema,
  secrets: secretsSchema,
  values: v.record(v.string(), v.nullable(v.string())),
});

/** @throws InvalidConfigError, which tells nothing of what was in it */
export function parseSecretsChange(json: string): SecretsChange {
  try {
    return v.parse(schema, JSON.parse(json));
  } catch {
    throw new InvalidConfigError("the change of the secrets is not what it should be");
  }
}

/** @throws RuntimeError when they are not what they were */
export function requireUnchanged(expected: readonly SecretConfig[], now: readonly SecretConfig[]): void {
  // Both were made by one schema, or come from it.
  if (JSON.stringify(v.parse(secretsSchema, expected)) === JSON.stringify(v.parse(secretsSchema, now)))
    return;
  throw new RuntimeError("the sandbox's secrets were changed by somebody else at the same time", {
    hint: "Look at them, and try again.",
  });
}

/**
 * What a change makes of the secrets that a running sandbox has in force: other hosts, another place of the value, and removals. What was left
 * for its next start before, such as a placeholder that the guest does not have yet, is not brought into force by it.
 *
 * @param before as they were kept when the change was made, and `after` as they are kept since
 */
export function liveSecrets(
  inForce: readonly SecretConfig[],
  before: readonly SecretConfig[],
  after: readonly SecretConfig[],
): readonly SecretConfig[] {
  return inForce.flatMap((secret) => {
    const isOfThatName = ({ envVar }: SecretConfig): boolean => envVar === secret.envVar;
    const [was, is] = [before.find(isOfThatName), after.find(isOfThatName)];
    if (was === undefined) return [secret];
    if (is === undefined) return [];
    const isMoved = JSON.stringify(was.source) !== JSON.stringify(is.source);
    return [
      {
        ...secret,
        hosts: was.hosts.join() === is.hosts.join() ? secret.hosts : is.hosts,
        source: isMoved ? is.source : secret.source,
      },
    ];
  });
}

/** A network with other secrets. The first of them turns interception on. */
export function withSecrets<Network extends StoredNetwork>(
  network: Network,
  secrets: readonly SecretConfig[],
): Network {
  const tls = network.tls ?? (secrets.length > 0 ? filledTls(tlsSettingsOf(plainTls)) : null);
  return { ...network, secrets, tls };
}
