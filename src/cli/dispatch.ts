import type { AnyCommand, Invocation } from "./grammar/command.ts";
import { commandEntries } from "./commands.ts";
import { findEntry, isFamily, withDefaultMember, withShownNames } from "./grammar/entries.ts";
import { logLevels } from "./grammar/globals.ts";
import { exitWith, isInterrupted, untilExit, watchInterruptions } from "./output/interrupt.ts";
import { err, out } from "./output/streams.ts";
import { quickParse } from "./grammar/quick-parse.ts";

// What only some command lines need is loaded when it is needed: each module costs about a millisecond of start-up.

/**
 * Runs one command line and ends the process with its exit code.
 *
 * @param argv - the arguments after the program's own name
 */
export async function dispatch(argv: readonly string[]): Promise<never> {
  watchInterruptions();
  return await exitWith(await exitCode(argv));
}

async function exitCode(argv: readonly string[]): Promise<number> {
  const separator = argv.indexOf("--");
  const given = separator === -1 ? argv : argv.slice(0, separator);
  const args = withDefaultMember(commandEntries, withShownNames(commandEntries, given));
  const guestCommand = separator === -1 ? null : argv.slice(separator + 1);
  let failureCode: number | undefined;
  try {
    const chosen = (await findQuickly(args, guestCommand)) ?? (await findFully(args, guestCommand));
    if (typeof chosen === "number") return chosen;
    failureCode = chosen.command.failureCode;
    return await runCommand(chosen);
  } catch (error) {
    if (isInterrupted()) return await untilExit();
    const { exitCodeOf, report } = await import("./output/report.ts");
    err(report(error, process.stderr, { stack: wantsStack(args) }));
    return exitCodeOf(error, failureCode);
  }
}

/** What the command line asks for. */
interface Chosen {
  readonly command: AnyCommand;
  readonly invocation: Invocation;
}

async function runCommand({ command, invocation }: Chosen): Promise<number> {
  const code = await command.run(invocation);
  // What ended because of an interruption has no exit code of its own.
  return isInterrupted() ? await untilExit() : code;
}

/** The command of a plainly well-formed command line: `msb [--LEVEL] COMMAND …`. */
async function findQuickly(
  args: readonly string[],
  guestCommand: readonly string[] | null,
): Promise<Chosen | null> {
  const levels = args.findIndex((arg) => !logLevels.some((level) => arg === `--${level}`));
  const found = levels === -1 ? null : findEntry(commandEntries, args.slice(levels));
  if (found === null || isFamily(found.entry) || args.includes("--tree") || args.includes("--version"))
    return null;
  const command = await found.entry.load();
  const rest = [...args.slice(0, levels), ...args.slice(levels + found.length)];
  const invocation = quickParse(command, rest, guestCommand);
  return invocation === null ? null : { command, invocation };
}

/** @returns the exit code of a command line that asks for nothing, or that is wrong */
async function findFully(
  args: readonly string[],
  guestCommand: readonly string[] | null,
): Promise<Chosen | number> {
  const { findBranch, namesNothing, parse } = await import("./grammar/program.ts");
  if (args.includes("--version")) {
    out(`msb ${(await import("./version.ts")).packageVersion()}\n`);
    return 0;
  }
  if (args.includes("--tree") && !namesNothing(commandEntries, args)) {
    const { commandTree } = await import("./grammar/tree.ts");
    const branch = findBranch(commandEntries, args);
    out(await commandTree(branch === null ? commandEntries : [branch], branch !== null));
    return 0;
  }
  return await parse(commandEntries, args, guestCommand, { out, err });
}

function wantsStack(args: readonly string[]): boolean {
  return args.includes("--debug") || args.includes("--trace");
}
