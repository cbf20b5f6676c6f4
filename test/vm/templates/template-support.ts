import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Sandbox, type SandboxConfig } from "../../../src/index.ts";
import { processesOf, smallMemory, withEnvironment } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";

/** A template as it lies in a home. */
export interface StoredTemplate {
  readonly key: string;
  readonly kind: "machine" | "image";
  readonly directory: string;
  readonly createdAt: string;
}

/** Everything in a home's directory of templates, hidden files too. */
export async function templateEntries(home: string): Promise<string[]> {
  return (await readdir(join(home, "templates")).catch(() => [])).sort();
}

/** The files of templates in the making. */
export async function filesInTheMaking(home: string): Promise<string[]> {
  const staged = (await templateEntries(home)).filter((name) => /^\.new-[0-9a-f]+$/.test(name));
  const files = await Promise.all(
    staged.map((name) => readdir(join(home, "templates", name)).catch((): string[] => [])),
  );
  return files.flat();
}

export async function templatesOf(home: string): Promise<StoredTemplate[]> {
  const keys = (await templateEntries(home)).filter((name) => /^[0-9a-f]{64}$/.test(name));
  return await Promise.all(
    keys.map(async (key) => {
      const directory = join(home, "templates", key);
      const record = JSON.parse(await readFile(join(directory, "template.json"), "utf8")) as StoredTemplate;
      return { key, kind: record.kind, directory, createdAt: record.createdAt };
    }),
  );
}

/** The kinds of a home's templates, in alphabetical order. */
export async function kindsOf(home: string): Promise<string[]> {
  return (await templatesOf(home)).map(({ kind }) => kind).sort();
}

/** The one template of a kind. Fails when there is another number of them. */
export async function templateOf(home: string, kind: StoredTemplate["kind"]): Promise<StoredTemplate> {
  const found = (await templatesOf(home)).filter((template) => template.kind === kind);
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`there are ${found.length} ${kind} templates`);
  }
  return found[0];
}

/** SHA-256 of what the guests of a template are made of. */
export async function hashesOf({ directory }: StoredTemplate): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of ["memory", "state", "upper.extents"]) {
    const path = join(directory, name);
    const hash = createHash("sha256");
    try {
      await pipeline(createReadStream(path), hash);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw error;
    }
    hashes[name] = hash.digest("hex");
  }
  return hashes;
}

export async function runtimeLog(home: string, name: string): Promise<string> {
  return await readFile(join(home, "sandboxes", name, "logs", "runtime.log"), "utf8");
}

/** The embedded image in the smallest machine, with a log that tells about templates. */
export function small(name: string, changes: Partial<SandboxConfig> = {}): Promise<Sandbox> {
  return Sandbox.create({
    name,
    image: "localhost/base",
    memoryMib: smallMemory,
    logLevel: "info",
    ...changes,
  });
}

/** Runs `action` for 0 to count - 1, a few at a time: as many as a machine with two processors has use for. */
export async function fewAtATime(count: number, action: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await action(next++);
  };
  await Promise.all([worker(), worker(), worker()]);
}

export async function destroy(sandbox: Sandbox): Promise<void> {
  await sandbox.kill();
  await sandbox.removePersisted();
}

/** Makes a template's record fit a file that was changed, as whoever damages one and leaves no trace would do. */
export async function adjustRecord({ directory }: StoredTemplate, name: string): Promise<void> {
  const path = join(directory, "template.json");
  const record = JSON.parse(await readFile(path, "utf8")) as { files: Record<string, unknown> };
  const { size, mtimeNs, ino } = await lstat(join(directory, name), { bigint: true });
  record.files[name] = { size: Number(size), mtimeNs: String(mtimeNs), inode: String(ino) };
  await writeFile(path, JSON.stringify(record));
}

/**
 * A sandbox that works, whatever is wrong with its template, and has no machine but its own.
 *
 * @returns the lines of its log about templates
 */
export async function works(
  home: string,
  name: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<string> {
  const sandbox = await withEnvironment(environment, () => small(name));
  const log = (await runtimeLog(home, name)).split("\n").filter((line) => /template/.test(line));
  const machines = (await processesOf(home, name)).filter(({ kind }) => kind === "qemu");
  assert.equal(machines.length, 1, log.join("\n"));
  assert.equal(await output(sandbox, "echo works > /root/it; cat /root/it; hostname"), `works\n${name}`);
  await destroy(sandbox);
  return log.join("\n");
}
