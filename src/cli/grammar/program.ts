import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import {
  fullName,
  longName,
  type AnyCommand,
  type Invocation,
  type OptionSpec,
  type OptionSpecs,
} from "./command.ts";
import {
  findEntry,
  isFamily,
  type CommandEntries,
  type CommandEntry,
  type CommandFamily,
} from "./entries.ts";
import { chosenLogLevel, globalOptions } from "./globals.ts";
import { errorBlock } from "../output/blocks.ts";
import { splitShortValues } from "./short-values.ts";
import { operandsTerm, optionTerm } from "./tree.ts";
import { paint, Styled, type OutputStream, type Text } from "../output/style.ts";
import { UsageError } from "../output/usage-error.ts";

export interface Parsed {
  readonly command: AnyCommand;
  readonly invocation: Invocation;
}

export interface ParserOutput {
  /** Help and version text. */
  out(this: void, text: Text): void;
  /** Error messages. */
  err(this: void, text: Text): void;
}

/**
 * Parses a command line with commander: the full parser, which also writes help and explains mistakes.
 *
 * @param args - the command line up to `--`
 * @param guestCommand - what follows `--`, null without `--`
 * @returns the command to run, or the exit code when help was shown (0) or the command line is wrong (2)
 */
export async function parse(
  entries: CommandEntries,
  args: readonly string[],
  guestCommand: readonly string[] | null,
  output: ParserOutput,
): Promise<Parsed | number> {
  const parsed: Parsed[] = [];
  const branch = findBranch(entries, args);
  const wanted = branch === null || isFamily(branch) ? null : await branch.load();
  const family = branch !== null && isFamily(branch) ? branch : null;
  const program = await buildProgram(
    entries,
    output,
    { command: wanted, family },
    (command, operands, values, given) => {
      parsed.push({
        command,
        invocation: {
          options: values,
          operands,
          guestCommand: command.guestCommand === true ? guestCommand : null,
          given,
          logLevel: chosenLogLevel(values),
        },
      });
    },
  );
  try {
    if (args.length === 0 && guestCommand === null) {
      output.out(new Styled(program.helpInformation()));
      return 0;
    }
    const rest = guestCommand === null || wanted?.guestCommand === true ? [] : ["--", ...guestCommand];
    // Help for a command that is not there would be the help of something else.
    const words = namesNothing(entries, args) ? args.filter((arg) => !asksForHelp.has(arg)) : args;
    program.parse([...splitShortValues(wanted?.options ?? {}, words), ...rest], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return parsed[0] ?? 0;
}

const asksForHelp: ReadonlySet<string> = new Set(["-h", "--help", "--tree"]);

/** What a command line is about, as far as it is known. */
interface Wanted {
  readonly command: AnyCommand | null;
  readonly family: CommandFamily | null;
}

type Accept = (
  command: AnyCommand,
  operands: readonly string[],
  values: Readonly<Record<string, unknown>>,
  given: ReadonlySet<string>,
) => void;

/** Commander's tree of every command. `accept` receives what was parsed. */
async function buildProgram(
  entries: CommandEntries,
  output: ParserOutput,
  wanted: Wanted,
  accept: Accept,
): Promise<Command> {
  const program = new Command("msb")
    .description("Run code in virtual machines of its own, on this computer.")
    .usage("[options] COMMAND [arguments]")
    .option("--version", "Print the version")
    .option("--tree", "Print all commands with their options")
    .helpOption("-h, --help", "Show this help")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureHelp({
      styleTitle: (text) => paint("bold", text, process.stdout),
      styleCommandText: (text) => paint("cyan", text, process.stdout),
      styleSubcommandText: (text) => paint("cyan", text, process.stdout),
      styleOptionText: (text) => paint("cyan", text, process.stdout),
      styleArgumentText: (text) => paint("cyan", text, process.stdout),
      visibleGlobalOptions: () => [],
    })
    .configureOutput({
      // The help: words and colours of our own.
      writeOut: (text) => {
        output.out(new Styled(text));
      },
      writeErr: (text) => {
        output.err(new Styled(text));
      },
      outputError: (text) => {
        output.err(explain(text, wanted, process.stderr));
      },
    });
  for (const [key, spec] of Object.entries(globalOptions)) addOption(program, key, spec);

  for (const entry of entries) {
    if (!isFamily(entry)) {
      await addCommand(program, entry, accept);
      continue;
    }
    const family = program
      .command(entry.names[0] ?? "")
      .aliases(entry.names.slice(1))
      .summary(entry.summary)
      .description(`${entry.summary}.`)
      .helpGroup(entry.group)
      .helpCommand(false);
    for (const member of entry.members) await addCommand(family, member, accept);
  }
  return program;
}

async function addCommand(parent: Command, entry: CommandEntry, accept: Accept): Promise<void> {
  const command = await entry.load();
  const child = parent
    .command(command.name, { hidden: command.hidden ?? false })
    .aliases([...(command.aliases ?? [])])
    .summary(command.summary)
    .description(`${command.summary}.${command.details === undefined ? "" : `\n\n${command.details}`}`)
    .helpGroup(parent.parent === null ? entry.group : "Commands:")
    .allowExcessArguments(false);
  child.usage(`[options] ${operandsTerm(command)}`.trimEnd());
  for (const [key, spec] of Object.entries(command.options)) addOption(child, key, spec);
  for (const operand of command.operands ?? []) {
    const dots = operand.repeated === true ? "..." : "";
    child.addArgument(
      new Argument(operand.required ? `<${operand.name}${dots}>` : `[${operand.name}${dots}]`),
    );
  }
  if (command.examples !== undefined) {
    child.addHelpText(
      "after",
      () => `\n${paint("bold", "Examples:", process.stdout)}\n${indent(command.examples ?? [])}`,
    );
  }
  child.action(() => {
    accept(command, child.args, optionValues(command.options, child), givenOptions(child));
  });
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join("\n");
}

function addOption(command: Command, key: string, spec: OptionSpec): void {
  const option = new Option(optionTerm(key, spec), spec.description);
  option.hideHelp(spec.hidden ?? false);
  if (spec.conflicts !== undefined) option.conflicts([...spec.conflicts]);
  if (spec.group !== undefined) option.helpGroup(spec.group);
  if (spec.kind === "value") option.argParser((text: string) => convert(spec.parse, text));
  if (spec.kind === "repeated") {
    option.argParser((text: string, before: unknown) => [
      ...(Array.isArray(before) ? (before as unknown[]) : []),
      convert(spec.parse, text),
    ]);
  }
  command.addOption(option);
  if (spec.negation !== undefined) {
    const negation = new Option(`--no-${longName(key)}`, spec.negation);
    negation.hideHelp(spec.hidden ?? false);
    if (spec.group !== undefined) negation.helpGroup(spec.group);
    if (spec.exclusive === true) refuseBoth(command, key, option, negation);
    command.addOption(negation);
  }
}

/** commander lets the later one of two count. It tells of each before it notes the next. */
function refuseBoth(command: Command, key: string, option: Option, negation: Option): void {
  let first: Option | null = null;
  for (const one of [option, negation]) {
    command.on(`option:${one.negate ? "no-" : ""}${longName(key)}`, () => {
      first ??= one;
      if (first !== one)
        command.error(`error: option '${one.flags}' cannot be used with option '${first.flags}'`);
    });
  }
}

function convert(parseValue: (text: string) => unknown, text: string): unknown {
  try {
    return parseValue(text);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new InvalidArgumentError(error.hint === "" ? error.message : `${error.message}\n${error.hint}`);
  }
}

function optionValues(specs: OptionSpecs, command: Command): Record<string, unknown> {
  const values = command.optsWithGlobals<Record<string, unknown>>();
  const known: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries({ ...globalOptions, ...specs })) {
    known[key] = values[key] ?? (spec.kind === "repeated" ? [] : undefined);
  }
  return known;
}

function givenOptions(command: Command): ReadonlySet<string> {
  const names = Object.keys(command.optsWithGlobals());
  return new Set(names.filter((name) => command.getOptionValueSourceWithGlobals(name) === "cli"));
}

/** The command or family that `args` names, null when there is none. */
export function findBranch(
  entries: CommandEntries,
  args: readonly string[],
): CommandEntry | CommandFamily | null {
  return (
    findEntry(
      entries,
      args.filter((arg) => !arg.startsWith("-")),
    )?.entry ?? null
  );
}

/** Whether `args` name a command, or a member of a family, that does not exist. */
export function namesNothing(entries: CommandEntries, args: readonly string[]): boolean {
  const words = args.filter((arg) => !arg.startsWith("-"));
  const found = findEntry(entries, words);
  return found === null ? words.length > 0 : isFamily(found.entry) && words.length > 1;
}

/** Commander's message in the shape of all error blocks: what is wrong, then one line for each advice. */
function explain(text: string, { command, family }: Wanted, stream: OutputStream): Styled {
  const [first = "", ...rest] = text.trim().split("\n");
  const hints = rest.map((line) => line.replace(/^\((.*)\)$/, "$1").trim()).filter((line) => line !== "");
  if (command?.guestCommand === true && first.includes("too many arguments")) {
    hints.push(`Write the command for the guest after --: msb ${fullName(command)} ${operandsTerm(command)}`);
  }
  if (command !== null) hints.push(`msb ${fullName(command)} --help shows the options`);
  else hints.push(`msb ${family === null ? "" : `${family.names[0] ?? ""} `}--help shows the commands`);
  return errorBlock({ text: first.replace(/^error: /, ""), hints }, stream);
}
