/**
 * The tests with real machines: `node scripts/test-vm.ts templates|cold [--tag TAG]... [FILE...]`.
 *
 * - `templates`: as sandboxes start by default. The files of one run share their templates, so only the first one boots the
 *   machines that many have alike.
 * - `cold`: once more without templates, for what a boot can change.
 *
 * The files say by their tags (test/vm/tags.ts) in which rounds they run, and whether anything may run beside them. What they load is
 * the library's sources; the supervisors, and `msb`, are what was built of them.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { inspect, parseArgs } from "node:util";
import type { Round } from "../test/vm/tags.ts";
import { buildTypeScript } from "./build-typescript.ts";
import { missingPrograms } from "./missing-programs.ts";
import { isAlone, neededPrograms, select, vmTestFiles, type VmTestFile } from "./vm-test-files.ts";

/** A file's longest time, ms: many boots on a slow host with other work to do. */
const fileTimeoutMs = 900_000;

/** While one file waits the next has its processor. On larger hosts it is the memory of their machines that counts. */
const filesAtOnce = Math.min(availableParallelism(), 4);

/** What is told when all is done. */
interface Results {
  readonly took: { readonly file: string; readonly ms: number }[];
  /** A line each. */
  readonly failures: string[];
}

/** Runs files, and prints what Node's own reporter says. */
async function runFiles(files: readonly VmTestFile[], concurrency: number, results: Results): Promise<void> {
  if (files.length === 0) return;
  const paths = files.map(({ path }) => path);
  const events = run({ files: paths, concurrency, timeout: fileTimeoutMs });
  events.on("test:fail", ({ name, file = "", details: { error } }) => {
    const { code, cause } = error as { code?: string; cause?: unknown };
    // What fails with a test in it has nothing to add.
    if (code === "ERR_TEST_FAILURE" && /subtests? failed/.test(String(cause))) return;
    const why = (cause instanceof Error ? String(cause) : inspect(error)).replaceAll(/\s+/g, " ");
    results.failures.push(`${basename(file)}: ${name}: ${why.slice(0, 400)}`);
  });
  events.on("test:summary", ({ file, duration_ms: ms, success }) => {
    if (!success) results.failures.push(`${basename(file ?? "the run")} failed`);
    if (file !== undefined) results.took.push({ file: basename(file), ms });
  });
  for await (const text of events.compose(new spec())) process.stdout.write(text as string | Buffer);
}

/** The last that is printed: what is shown of a long run is often its end alone. */
function printResults({ took, failures }: Results): void {
  const slowest = took.toSorted((a, b) => b.ms - a.ms).slice(0, 10);
  process.stdout.write(`\nThe slowest of ${took.length} files, s:\n`);
  for (const { file, ms } of slowest)
    process.stdout.write(`${(ms / 1000).toFixed(1).padStart(7)}  ${file}\n`);
  for (const failure of failures) process.stdout.write(`${failure}\n`);
}

/** @throws Error when one is not there */
async function requirePrograms(names: readonly string[]): Promise<void> {
  const [name] = await missingPrograms(names);
  if (name !== undefined) throw new Error(`${name} is missing; sh scripts/setup.sh --tests installs it`);
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { tag: { type: "string", multiple: true, default: [] } },
  });
  const [round, ...names] = positionals;
  if (round !== "templates" && round !== "cold") {
    throw new Error("usage: test-vm.ts templates|cold [--tag TAG]... [FILE...]");
  }
  const files = select(await vmTestFiles(), round satisfies Round, { tags: values.tag, files: names });
  await requirePrograms(neededPrograms(files));
  const root = join(import.meta.dirname, "..");
  await buildTypeScript(root, join(root, "dist"));
  process.env["MSB_PROGRAMS"] = "built";
  process.env["NODE_COMPILE_CACHE"] = join(root, "node_modules", ".cache", "compile");
  const templates = await mkdtemp(join(tmpdir(), "msb-test-templates-"));
  // How sandboxes start is for this program to say.
  delete process.env["MSB_TEMPLATES"];
  delete process.env["MSB_TEST_TEMPLATES"];
  const images = await mkdtemp(join(tmpdir(), "msb-test-images-"));
  process.env["MSB_TEST_IMAGES"] = images;
  if (round === "cold") process.env["MSB_TEMPLATES"] = "off";
  else process.env["MSB_TEST_TEMPLATES"] = templates;
  const results: Results = { took: [], failures: [] };
  const together = files.filter((file) => !isAlone(file));
  try {
    await runFiles(together, filesAtOnce, results);
    await runFiles(files.filter(isAlone), 1, results);
    return results.failures.length === 0 ? 0 : 1;
  } finally {
    printResults(results);
    await rm(templates, { recursive: true, force: true });
    await rm(images, { recursive: true, force: true });
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
