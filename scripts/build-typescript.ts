import { chmod, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run, sha256File, sha256Strings } from "../guest/tools.ts";
import { writeFileAtomically } from "../src/store/atomic-file.ts";

const STAMP = ".typescript";
/** Settings that decide what the compiler writes. */
const SETTINGS = [
  "tsconfig.json",
  "tsconfig.build.json",
  "package.json",
  "node_modules/typescript/package.json",
];

/**
 * Compiles `src/` to `dist/`, unless nothing has changed since the last time.
 *
 * @returns whether anything was compiled
 */
export async function buildTypeScript(root: string, dist: string): Promise<boolean> {
  const sources = (await filesBelow(join(root, "src"))).filter(
    (path) => path.endsWith(".ts") && !path.endsWith(".test.ts"),
  );
  const inputs = [...SETTINGS, ...sources.map((path) => join("src", path))];
  const digests = await Promise.all(
    inputs.map(async (path) => `${path} ${await sha256File(join(root, path))}`),
  );
  const digest = sha256Strings(digests);
  const last = await readFile(join(dist, STAMP), "utf8").catch(() => "");
  if (last === digest) return false;

  await rm(join(dist, STAMP), { force: true });
  await removeStale(dist, new Set(sources));
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
    cwd: root,
    show: true,
  });
  await requireCompiledImports(dist);
  await chmod(join(dist, "cli/main.js"), 0o755);
  await writeFileAtomically(join(dist, STAMP), digest);
  return true;
}

/**
 * Refuses a compiled file that imports a source. The compiler passes over the path of a dynamic import in a function with a
 * `using` declaration.
 */
async function requireCompiledImports(dist: string): Promise<void> {
  for (const path of await filesBelow(dist)) {
    if (!path.endsWith(".js")) continue;
    const found = /(?:import\(|from )"[^"]*\.ts"/.exec(await readFile(join(dist, path), "utf8"));
    if (found !== null)
      throw new Error(`dist/${path} has ${found[0]}: move the import into a function without "using"`);
  }
}

/** Removes what was compiled from sources that are gone. */
async function removeStale(dist: string, sources: ReadonlySet<string>): Promise<void> {
  for (const path of await filesBelow(dist)) {
    const source = path.replace(/(\.d\.ts|\.js)$/, ".ts");
    if (source === path || path.startsWith("guest/") || sources.has(source)) continue;
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
