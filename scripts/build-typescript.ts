import { readFile, readdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { run, sha256File, sha256Strings } from "../guest/tools.ts";
import { writeFileAtomically } from "../src/host/files/atomic-file.ts";
import { bundle } from "./bundle.ts";

const STAMP = ".typescript";
/** Settings and tools that decide what is written. */
const SETTINGS = ["tsconfig.json", "tsconfig.build.json", "package.json", "package-lock.json"];
const RECIPE = ["build-typescript.ts", "bundle.ts", "bundle-plugins.ts"];

/**
 * Makes the programs and the type declarations in `dist/` of `src/`, unless nothing has changed since the last time.
 *
 * @returns whether anything was made
 */
export async function buildTypeScript(root: string, dist: string): Promise<boolean> {
  const sources = (await filesBelow(join(root, "src"))).filter((path) => !path.endsWith(".test.ts"));
  const declared = sources.filter((path) => path.endsWith(".ts") && !path.startsWith("dashboard/page/"));
  const inputs = [
    ...SETTINGS.map((path) => join(root, path)),
    ...RECIPE.map((path) => join(import.meta.dirname, path)),
    ...sources.map((path) => join(root, "src", path)),
  ];
  const digest = sha256Strings(
    await Promise.all(inputs.map(async (path) => `${relative(root, path)} ${await sha256File(path)}`)),
  );
  const last = await readFile(join(dist, STAMP), "utf8").catch(() => "");
  if (last === digest) return false;

  await rm(join(dist, STAMP), { force: true });
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", dist], {
    cwd: root,
    show: true,
  });
  const made = await bundle(root, dist);
  await removeStale(dist, new Set([...made, ...declared.map((path) => path.replace(/\.ts$/, ".d.ts"))]));
  await writeFileAtomically(join(dist, STAMP), digest);
  return true;
}

/** Removes what was made of sources that are gone. */
async function removeStale(dist: string, made: ReadonlySet<string>): Promise<void> {
  for (const path of await filesBelow(dist)) {
    if (made.has(path) || path.startsWith("guest/") || path.startsWith(".")) continue;
    await rm(join(dist, path));
  }
}

/** Paths relative to `directory`, sorted. */
async function filesBelow(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
