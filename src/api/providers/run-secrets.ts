import { readFile } from "node:fs/promises";
import { checkGivenValue } from "../../config/network/interception/builders/secret-draft.ts";
import { valueInFile } from "../../config/network/interception/builders/secret-value.ts";
import { GivenSecret, type SecretMaterial } from "../../config/network/interception/secret-material.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { errorCode } from "../../host/system-error.ts";
import type { StoredSecrets } from "../../store/secret-file.ts";

/** What a run of a sandbox begins with for its secrets. */
export interface RunSecrets {
  /** What its supervisor is told when it asks: values that are not stored, and functions. */
  readonly material: SecretMaterial;
  /** What was given to be stored. */
  readonly stored: StoredSecrets;
  /** Values that no process but the supervisor is to have, as far as they are known here. */
  readonly values: readonly string[];
}

export const noRunSecrets: RunSecrets = { material: new Map(), stored: new Map(), values: [] };

/** What this program keeps while the sandbox runs, for its next run. What is stored is on the disk: nobody needs it here any more. */
export function keptSecrets({ material }: RunSecrets): RunSecrets {
  return { ...noRunSecrets, material };
}

/**
 * Finds what a sandbox that is about to start needs for its secrets.
 *
 * @param given for this run
 * @param known what the same program gave before
 * @param stored the values that are stored already
 * @throws InvalidConfigError for a secret without a value
 */
export async function runSecrets(
  secrets: readonly SecretConfig[],
  given: SecretMaterial,
  known: SecretMaterial,
  stored: StoredSecrets,
): Promise<RunSecrets> {
  const material = new Map<string, GivenSecret>();
  const fresh = new Map<string, string>();
  const values: string[] = [];
  for (const secret of secrets) {
    const { envVar, source } = secret;
    const from = given.get(envVar);
    const found = from ?? (await ofSource(secret, known, stored));
    const what = found.reveal();
    if (typeof what === "string") values.push(checkGivenValue(`the secret of the sandbox`, secret, what));
    else if (source.kind !== "provider") throw noFunction(envVar);
    if (source.kind !== "stored") {
      // The supervisor reads a file when it needs the value, unless another one was given.
      if (source.kind !== "file" || from !== undefined) material.set(envVar, found);
    } else if (from !== undefined && typeof what === "string") fresh.set(envVar, what);
  }
  return { material, stored: fresh, values };
}

/** @throws UnsupportedOperationError for one whose values a function of this program fetches */
export function requireNoFunctions(material: SecretMaterial, what: string): void {
  for (const [envVar, given] of material) {
    if (typeof given.reveal() !== "function") continue;
    throw new UnsupportedOperationError(
      `${what} cannot go on without its program, which fetches the secret ${envVar}`,
      { hint: "Let it be attached, or give a value: start({ secrets: { NAME: value } })." },
    );
  }
}

async function ofSource(
  { envVar, source }: SecretConfig,
  known: SecretMaterial,
  stored: StoredSecrets,
): Promise<GivenSecret> {
  switch (source.kind) {
    case "stored": {
      const value = stored.get(envVar);
      if (value !== undefined) return new GivenSecret(value);
      throw missing(envVar, "its value is not stored");
    }
    case "env": {
      const value = process.env[source.var];
      if (value !== undefined && value !== "") return new GivenSecret(value);
      return known.get(envVar) ?? fail(envVar, `the environment variable ${source.var} is not set`);
    }
    case "file":
      return new GivenSecret(await readValue(envVar, source.path));
    case "provider":
      return known.get(envVar) ?? fail(envVar, "a program fetches it, which has not given its function");
  }
}

async function readValue(envVar: string, path: string): Promise<string> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (error) {
    throw missing(envVar, `${path} cannot be read (${errorCode(error) ?? String(error)})`);
  }
  const value = valueInFile(content);
  if (value === null) throw missing(envVar, `${path} is no UTF-8 text`);
  if (value === "") throw missing(envVar, `${path} is empty`);
  return value;
}

function fail(envVar: string, why: string): never {
  throw missing(envVar, why);
}

function missing(envVar: string, why: string): InvalidConfigError {
  return new InvalidConfigError(`the secret ${envVar} has no value: ${why}`, {
    hint: `Give it when the sandbox starts, or is forked: start({ secrets: { ${envVar}: value } }), fork(name, { secrets: … }), or msb start on a terminal.`,
  });
}

function noFunction(envVar: string): InvalidConfigError {
  return new InvalidConfigError(
    `the secret ${envVar} was not made with a provider, and was given a function`,
    {
      hint: "Give a value.",
    },
  );
}

/**
 * The variables of those that have no value here: they are to be given when the sandbox starts.
 *
 * @param stored the values that are stored
 */
export function missingSecrets(secrets: readonly SecretConfig[], stored: StoredSecrets): string[] {
  const isMissing = ({ envVar, source }: SecretConfig): boolean => {
    switch (source.kind) {
      case "stored":
        return !stored.has(envVar);
      case "env":
        return (process.env[source.var] ?? "") === "";
      case "provider":
        return true;
      case "file":
        // What is wrong with a file is said by its error.
        return false;
    }
  };
  return secrets.filter(isMissing).map(({ envVar }) => envVar);
}
