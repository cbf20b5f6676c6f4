import { lstat, readFile, rm } from "node:fs/promises";
import { getuid } from "node:process";
import * as v from "valibot";
import type { SecretConfig } from "../config/network/interception/secret-type.ts";
import { IoError, JsonError } from "../errors/index.ts";
import { writeFileAtomically } from "../host/files/atomic-file.ts";
import { errorCode, ioError } from "../host/system-error.ts";

/** Values of secrets by the variables of the guest's environment that have their placeholders. */
export type StoredSecrets = ReadonlyMap<string, string>;

const schema = v.object({ format: v.literal(1), values: v.record(v.string(), v.string()) });

/**
 * The values of a sandbox's secrets, from a file that nobody but its owner can read.
 *
 * @returns an empty map when there is none
 * @throws IoError for one that others can read, or that cannot be read; JsonError for a damaged one. None has a value in it
 */
export async function readSecretFile(path: string): Promise<StoredSecrets> {
  let text: string;
  try {
    const { uid, mode } = await lstat(path);
    if (uid !== getuid?.() || (mode & 0o177) !== 0) {
      throw new IoError(`${path} has the values of secrets, and can be read or changed by others`, {
        hint: `Give the secrets new values, and make it private: chmod 600 ${path}`,
      });
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return new Map();
    throw error instanceof IoError ? error : ioError(`read ${path}`, error);
  }
  const parsed = v.safeParse(schema, parsedOrNull(text));
  if (parsed.success) return new Map(Object.entries(parsed.output.values));
  // What is wrong in there may be a part of a value: no cause.
  throw new JsonError(`${path} is damaged`, {
    hint: "Remove it, and give the sandbox the values of its secrets when it starts: msb start asks for them.",
  });
}

/** Writes it anew, whole or not at all; without any value it is removed. @throws IoError */
export async function writeSecretFile(path: string, values: StoredSecrets): Promise<void> {
  if (values.size > 0) {
    await writeFileAtomically(path, `${JSON.stringify({ format: 1, values: Object.fromEntries(values) })}\n`);
    return;
  }
  await rm(path, { force: true }).catch((error: unknown) => {
    throw ioError(`remove ${path}`, error);
  });
}

/**
 * Changes stored values together with the record that names them: the values are there before the record says so, and go after it does not
 * any more.
 *
 * @param secrets as they are to be
 * @param changes null: there is no value any more
 * @param save writes the record
 * @throws what `save` throws; the values are as they were then. IoError, JsonError
 */
export async function changeSecretFile(
  path: string,
  secrets: readonly Pick<SecretConfig, "envVar" | "source">[],
  changes: Iterable<readonly [envVar: string, value: string | null]>,
  save: () => Promise<void>,
): Promise<void> {
  const before = await readSecretFile(path);
  const fresh = [...changes].filter((change): change is [string, string] => change[1] !== null);
  const stored = new Set(
    secrets.filter(({ source }) => source.kind === "stored").map(({ envVar }) => envVar),
  );
  const after = new Map([...before, ...fresh].filter(([envVar]) => stored.has(envVar)));
  if (after.size > 0) await writeSecretFile(path, new Map([...before, ...after]));
  try {
    await save();
  } catch (error) {
    await writeSecretFile(path, before).catch(() => undefined);
    throw error;
  }
  await writeSecretFile(path, after);
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
