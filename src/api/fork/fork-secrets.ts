import { GivenSecret, type SecretMaterial } from "../../config/network/interception/secret-material.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { UnsupportedOperationError } from "../../errors/index.ts";
import { readSecretFile, type StoredSecrets } from "../../store/secret-file.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { checkGivenSecrets, type SecretsInput } from "../providers/given-secrets.ts";
import { requireNoFunctions, runSecrets, type RunSecrets } from "../providers/run-secrets.ts";

/**
 * What the children of a sandbox begin with for its secrets. Values that are stored with the sandbox are given to the children's processes
 * alone: no other file gets them.
 *
 * @throws as {@link secretsOfCopy}
 */
export async function secretsOfFork(
  { parts }: Pick<SandboxControl, "parts">,
  { record, paths }: FoundSandbox,
  given: SecretsInput | undefined,
): Promise<RunSecrets> {
  const stored = new Map(await readSecretFile(paths.secrets));
  // Of one that is a copy itself, whoever has made it in this program has what is stored with its source alone.
  for (const { envVar, source } of record.config.network?.secrets ?? []) {
    const kept = source.kind === "stored" ? parts.secrets.material.get(envVar)?.reveal() : undefined;
    if (typeof kept === "string" && !stored.has(envVar)) stored.set(envVar, kept);
  }
  const what = `a copy of sandbox ${record.name}`;
  return await secretsOfCopy(what, record.config, given, parts.secrets.material, stored);
}

/**
 * What a copy of a sandbox begins with for its secrets. No file gets their values.
 *
 * @param what it is, for errors
 * @param known what the same program gave before
 * @param stored the values that are stored already
 * @throws InvalidConfigError for one without a value; UnsupportedOperationError for what a function of this program answers, which copies
 *   go on without
 */
export async function secretsOfCopy(
  what: string,
  { network }: Pick<StoredConfig, "network">,
  given: SecretsInput | undefined,
  known: SecretMaterial,
  stored: StoredSecrets,
): Promise<RunSecrets> {
  const hooks = network?.http?.hooks;
  if (hooks?.onRequest === true || hooks?.onResponse === true) {
    throw new UnsupportedOperationError(
      `${what} cannot go on without the program that looks at its requests`,
      {
        hint: "Make it without functions: rules about requests go on without a program.",
      },
    );
  }
  const secrets = network?.secrets ?? [];
  const found = await runSecrets(secrets, checkGivenSecrets(secrets, given), known, stored);
  requireNoFunctions(found.material, what);
  const material = new Map(found.material);
  for (const [envVar, value] of [...stored, ...found.stored])
    if (secrets.some((secret) => secret.envVar === envVar)) material.set(envVar, new GivenSecret(value));
  return { ...found, material, stored: new Map() };
}
