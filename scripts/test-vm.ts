/**
 * The tests with real machines, one file after the other: `node scripts/test-vm.ts templates|cold`.
 *
 * - `templates`: all of them, as sandboxes start by default. The files of one run share their templates, so only the first one
 *   boots the machines that many have alike.
 * - `cold`: once more, without templates. Left out are the files that start no sandbox, and those that say themselves whether
 *   there are templates: they would do the same again.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const directory = join(import.meta.dirname, "..", "test", "vm");

/** A file's longest time, ms: many boots on a slow host with other work to do. */
const fileTimeoutMs = 900_000;

export type Mode = "templates" | "cold";

/** @returns the paths of the test files to run */
export async function testFiles(mode: Mode): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".test.ts")).sort();
  const paths = names.map((name) => join(directory, name));
  if (mode === "templates") return paths;
  const differs = await Promise.all(paths.map(async (path) => modeMatters(await readFile(path, "utf8"))));
  return paths.filter((_, index) => differs[index]);
}

/** @param source of a test file */
export function modeMatters(source: string): boolean {
  return !source.includes("MSB_TEMPLATES") && !source.includes("Machine.start(");
}

async function main(mode: string | undefined): Promise<number> {
  if (mode !== "templates" && mode !== "cold") throw new Error("usage: test-vm.ts templates|cold");
  const templates = await mkdtemp(join(tmpdir(), "msb-test-templates-"));
  try {
    // How sandboxes start is for this program to say.
    const { MSB_TEMPLATES: _, ...environment } = process.env;
    const options = ["--test", "--test-concurrency=1", `--test-timeout=${fileTimeoutMs}`];
    const child = spawn(process.execPath, [...options, ...(await testFiles(mode))], {
      stdio: "inherit",
      env: {
        ...environment,
        // Every sandbox starts a process from our sources: compiled once, it starts in a third of the time.
        NODE_COMPILE_CACHE: join(import.meta.dirname, "..", "node_modules", ".cache", "compile"),
        ...(mode === "cold" ? { MSB_TEMPLATES: "off" } : { MSB_TEST_TEMPLATES: templates }),
      },
    });
    const [code] = (await once(child, "exit")) as [number | null];
    return code ?? 1;
  } finally {
    await rm(templates, { recursive: true, force: true });
  }
}

if (import.meta.main) process.exitCode = await main(process.argv[2]);
