/**
 * The stages of `npm test` and `npm run test:quick`: `node scripts/test-stages.ts all|quick [SECONDS OF THE SET-UP]`.
 *
 * The quick ones come first. Stages that do not compete run side by side, and what each printed is shown when it ends. After
 * the first group with a failure nothing more is run. The table of what took how long is printed in any case.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";

const root = join(import.meta.dirname, "..");

export interface Stage {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
}

const script = (name: string): Stage["command"] => ["npm", "run", "--silent", name];

/** The longest first: it decides when all are done. */
const checks: readonly Stage[] = [
  { name: "lint", command: script("lint") },
  {
    name: "agent tests",
    command: ["cargo", "test", "--locked", "--quiet", "--manifest-path", "agent/Cargo.toml"],
  },
  { name: "types", command: script("types") },
  { name: "format", command: script("format:check") },
  { name: "generated files", command: ["node", "scripts/generate-protocol.ts", "--check"] },
];
/** Fetches packages that nothing else needs. */
const site: Stage = { name: "documentation site", command: script("docs") };
const unitTests: readonly Stage[] = [{ name: "unit tests", command: script("test:unit") }];
const groups = {
  quick: [checks, unitTests],
  all: [
    [...checks, site],
    unitTests,
    [{ name: "registry tests", command: script("test:registry") }],
    [{ name: "VM tests (templates)", command: script("test:vm") }],
    [{ name: "VM tests (cold)", command: script("test:vm:cold") }],
  ],
} satisfies Record<string, readonly (readonly Stage[])[]>;

export interface Outcome {
  readonly name: string;
  readonly seconds: number;
  readonly passed: boolean;
}

async function runStage({ name, command: [program, ...args] }: Stage, beside: boolean): Promise<Outcome> {
  const heading = `\n== ${name}\n`;
  const begun = performance.now();
  if (!beside) process.stdout.write(heading);
  const child = spawn(program, args, {
    cwd: root,
    // Each test file is a process, which compiles our sources only if none before it has.
    env: { NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "compile"), ...process.env },
    stdio: ["ignore", beside ? "pipe" : "inherit", beside ? "pipe" : "inherit"],
  });
  const outputs = [child.stdout, child.stderr].flatMap((stream) => (stream === null ? [] : [buffer(stream)]));
  const code = await once(child, "close").then(
    ([ended]) => ended as number | null,
    // It could not be started.
    (error: unknown) => (process.stderr.write(`${String(error)}\n`), null),
  );
  const printed = await Promise.all(outputs);
  if (beside) process.stdout.write(Buffer.concat([Buffer.from(heading), ...printed]));
  return { name, seconds: (performance.now() - begun) / 1000, passed: code === 0 };
}

/** As many at a time as there are processors. */
async function runGroup(stages: readonly Stage[]): Promise<Outcome[]> {
  const waiting = [...stages];
  const outcomes: Outcome[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      outcomes.push(await runStage(next, stages.length > 1));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return outcomes;
}

export function table(outcomes: readonly Outcome[], totalSeconds: number): string {
  const row = (name: string, seconds: number, note = ""): string =>
    `${name.padEnd(24)}${seconds.toFixed(0).padStart(6)}${note}\n`;
  const rows = outcomes.map(({ name, seconds, passed }) => row(name, seconds, passed ? "" : "  FAILED"));
  return `${"stage".padEnd(24)}     s\n${rows.join("")}${row("in all", totalSeconds)}`;
}

/** Runs the groups one after the other, up to and with the first in which a stage fails. */
export async function runGroups(stages: readonly (readonly Stage[])[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const group of stages) {
    outcomes.push(...(await runGroup(group)));
    if (outcomes.some(({ passed }) => !passed)) break;
  }
  return outcomes;
}

async function main([which = "all", setUpSeconds = "0"]: string[]): Promise<number> {
  if (which !== "all" && which !== "quick") throw new Error("usage: test-stages.ts all|quick");
  const begun = performance.now();
  const setUp: Outcome = { name: "set-up", seconds: Number(setUpSeconds), passed: true };
  const outcomes = [setUp, ...(await runGroups(groups[which]))];
  process.stdout.write(`\n${table(outcomes, setUp.seconds + (performance.now() - begun) / 1000)}`);
  const failed = outcomes.filter(({ passed }) => !passed).map(({ name }) => name);
  process.stdout.write(failed.length === 0 ? "\nAll checks passed.\n" : `\nFAILED: ${failed.join(", ")}\n`);
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
