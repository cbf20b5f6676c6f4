/** Results of single steps of the recipe, kept by the digest of what went into them. */
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { sha256Strings } from "./tools.ts";

export interface Step {
  readonly name: string;
  /** Everything the result depends on. */
  readonly inputs: readonly string[];
  /** Shown when the step has to run. */
  readonly message: string;
  /** Writes the result into `into`; `work` is a directory for whatever else is needed. */
  readonly make: (into: string, work: string) => Promise<void>;
}

/**
 * The directory with a step's result, made now unless it was made before. One that was interrupted leaves nothing that
 * counts as made.
 */
export async function resultOf(step: Step, cache: string): Promise<string> {
  const directory = join(cache, "steps");
  const prefix = `${step.name}-`;
  const name = `${prefix}${sha256Strings(step.inputs).slice(0, 16)}`;
  const result = join(directory, name);
  if (await stat(result).catch(() => undefined)) return result;
  process.stdout.write(`guest: ${step.message}\n`);
  const aside = join(cache, "work", step.name);
  await rm(aside, { recursive: true, force: true });
  await mkdir(join(aside, "result"), { recursive: true });
  await mkdir(join(aside, "work"));
  await mkdir(directory, { recursive: true });
  await step.make(join(aside, "result"), join(aside, "work"));
  await rename(join(aside, "result"), result);
  await rm(aside, { recursive: true });
  for (const old of await readdir(directory)) {
    if (old.startsWith(prefix) && old !== name) await rm(join(directory, old), { recursive: true });
  }
  return result;
}
