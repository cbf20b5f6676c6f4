/**
 * Every example of the documentation runs, as a reader would run it: `ts` blocks as modules that import the package as it
 * is built, `sh` blocks with the built `msb`. The examples of a page run in the page's order and share a home. What a comment
 * `// prints …` says must be a line of the output.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { examplesOf, pages, publicSources, root, type Example } from "../../program/examples-extract.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const timeoutMs = 600_000;

/** A directory that looks to Node like a user's project with this package installed. */
const project = mkdtempSync(join(tmpdir(), "msb-examples-"));
mkdirSync(join(project, "node_modules"));
mkdirSync(join(project, "bin"));
symlinkSync(root, join(project, "node_modules/microsandbox"));
symlinkSync(join(root, "dist/cli/main.js"), join(project, "bin/msb"));
writeFileSync(join(project, "package.json"), '{ "type": "module" }');

const { NODE_TEST_CONTEXT: _context, NO_COLOR: _color, FORCE_COLOR: _force, ...inherited } = process.env;
const environment: NodeJS.ProcessEnv = {
  ...inherited,
  MSB_HOME: join(project, "home"),
  MSB_ACCEL: process.env["MSB_ACCEL"] ?? "tcg",
  PATH: `${join(project, "bin")}:${process.env["PATH"] ?? ""}`,
};

/** For the page that is about templates: it is true where nobody has turned them off, as one run of these tests does. */
const withTemplates = Object.fromEntries(
  Object.entries(environment).filter(([name]) => !name.endsWith("_TEMPLATES")),
);

interface Ending {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program to its end; what takes too long is killed and ends with code null. */
function run(program: string, args: readonly string[], env = environment): Promise<Ending> {
  const child = spawn(program, args, {
    cwd: project,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, output });
    });
  });
}

async function runExample({ file, line, language, code }: Example): Promise<void> {
  const name = `${basename(file).replace(/\W/g, "-")}-${line}`;
  const script = join(project, language === "ts" ? `${name}.ts` : `${name}.sh`);
  writeFileSync(script, code);
  const [program, ...args] = language === "ts" ? [process.execPath, script] : ["sh", "-eu", script];
  const ending = await run(program, args, file === "docs/templates.md" ? withTemplates : environment);
  const told = `${file}:${line}\n${code}\nprinted\n${ending.output}`;
  assert.equal(ending.code, 0, told);
  const lines = ending.output.split("\n").map((text) => text.trim());
  for (const [, promised = ""] of code.matchAll(/\/\/ prints (.*)$/gm)) {
    assert.ok(lines.includes(promised.trim()), `"${promised}" was promised: ${told}`);
  }
}

function testExamples(file: string, languages: readonly string[]): void {
  for (const example of examplesOf(file)) {
    if (languages.includes(example.language))
      test(`${file}:${example.line} (${example.language})`, () => runExample(example));
  }
}

const msb = join(project, "bin/msb");

async function removeAll(): Promise<void> {
  const { output } = await run(msb, ["ls", "-q"]);
  const names = output.split("\n").filter((name) => name !== "");
  if (names.length > 0) await run(msb, ["rm", "-f", ...names]);
}

after(async () => {
  await removeAll();
  // Supervisors on their way out may still put what they have compiled into it.
  rmSync(project, { recursive: true, force: true, maxRetries: 10 });
});

describe("examples in the doc comments of the public interface", () => {
  for (const file of publicSources()) testExamples(file, ["ts"]);
});

describe("README.md", () => {
  testExamples("README.md", ["ts", "sh"]);
});

describe("pages", () => {
  // The pages say so: their examples use a sandbox named demo that runs.
  before(async () => {
    const created = await run(msb, ["create", "-n", "demo", "--replace"]);
    assert.equal(created.code, 0, created.output);
  });
  after(removeAll);
  for (const file of pages()) if (file !== "README.md") testExamples(file, ["ts", "sh"]);
});
