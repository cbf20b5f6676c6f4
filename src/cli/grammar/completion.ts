import { longName, type AnyCommand, type NameKind, type OptionSpec, type OptionSpecs } from "./command.ts";
import { findEntry, isFamily, withDefaultMember, type CommandEntries } from "./entries.ts";
import { globalOptions } from "./globals.ts";
import { joinSplitWords } from "./split-words.ts";

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** Finds what a kind of operand can be, of which `typed` is the beginning, after those that are `given`; asked only where one can stand. */
export type FindNames = (
  kind: NameKind,
  typed: string,
  given: readonly string[],
) => Promise<readonly string[]>;

/**
 * What can stand where the user is typing.
 *
 * @param entries - all commands
 * @param before - the words between `msb` and the one being typed
 * @param current - the word being typed, up to the cursor
 * @param names - finds the names of sandboxes, images, templates or volumes, and the sides of a copy
 */
export async function candidates(
  entries: CommandEntries,
  before: readonly string[],
  current: string,
  names: FindNames,
): Promise<readonly Candidate[]> {
  const { words: split, current: typed, given } = joinSplitWords(before, current);
  const words = withDefaultMember(entries, split);
  const index = words.findIndex((word) => !word.startsWith("-"));
  const named = index === -1 ? null : findEntry(entries, words.slice(index));
  const after = named === null ? [] : words.slice(index + named.length);
  let found: Candidate[] = [];
  if (index === -1) found = [...(await commandCandidates(entries)), ...optionCandidates(globalOptions)];
  else if (named !== null && !isFamily(named.entry)) {
    found = await inCommand(await named.entry.load(), after, typed, names);
  } else if (named !== null && isFamily(named.entry) && after.length === 0) {
    const { members, defaultMember } = named.entry;
    found = await commandCandidates(members);
    const meant = members.find((member) => member.names[0] === defaultMember);
    if (meant !== undefined) found.push(...(await inCommand(await meant.load(), [], typed, names)));
  }
  // Options are offered when asked for by their dash, so that they do not crowd out names.
  return found
    .filter(
      ({ value }) =>
        value.startsWith(typed) && (typed.startsWith("-") || value === "--" || !value.startsWith("-")),
    )
    .map(({ value, description }) => ({ value: value.slice(given.length), description }));
}

async function commandCandidates(entries: CommandEntries): Promise<Candidate[]> {
  const commands = await Promise.all(
    entries.map(async (entry) => {
      if (isFamily(entry)) return { ...entry, hidden: false };
      const { summary, hidden } = await entry.load();
      return { names: entry.names, summary, hidden };
    }),
  );
  return commands
    .filter(({ hidden }) => hidden !== true)
    .flatMap(({ names, summary }) => names.map((value) => ({ value, description: summary })));
}

async function inCommand(
  command: AnyCommand,
  words: readonly string[],
  current: string,
  names: FindNames,
): Promise<Candidate[]> {
  if (words.includes("--")) return [];
  const specs: OptionSpecs = { ...globalOptions, ...command.options };
  const assignment = /^(--[a-z-]+)=/.exec(current);
  if (assignment !== null) {
    const choices = await choicesOf(findOption(specs, assignment[1] ?? ""), names);
    return choices.map((value) => ({
      value: `${assignment[1] ?? ""}=${value}`,
      description: "",
    }));
  }
  // A value that stands right behind its letter: -vcache:/data.
  const attached = /^-[A-Za-z](?=[^-=])/.exec(current)?.[0];
  const short = attached === undefined ? undefined : takesValue(findOption(specs, attached));
  if (attached !== undefined && short !== undefined) {
    const choices = await choicesOf(short, names);
    return choices.map((value) => ({ value: attached + value, description: "" }));
  }
  const operands: string[] = [];
  let pending: OptionSpec | undefined;
  for (const word of words) {
    if (pending !== undefined) pending = undefined;
    else if (word.startsWith("-"))
      pending = word.includes("=") ? undefined : takesValue(findOption(specs, word));
    else operands.push(word);
  }
  if (pending !== undefined)
    return (await choicesOf(pending, names)).map((value) => ({ value, description: "" }));
  return [...(await operandCandidates(command, operands, current, names)), ...optionCandidates(specs)];
}

async function operandCandidates(
  command: AnyCommand,
  given: readonly string[],
  typed: string,
  names: FindNames,
): Promise<Candidate[]> {
  const operands = command.operands ?? [];
  const last = operands.at(-1);
  const operand = operands[given.length] ?? (last?.repeated === true ? last : undefined);
  const separator =
    command.guestCommand === true && given.length >= operands.filter(({ required }) => required).length
      ? [{ value: "--", description: "The command for the guest follows" }]
      : [];
  if (operand?.completes === undefined) return separator;
  const values =
    typeof operand.completes === "string" ? await names(operand.completes, typed, given) : operand.completes;
  return [
    ...values.filter((value) => !given.includes(value)).map((value) => ({ value, description: "" })),
    ...separator,
  ];
}

function optionCandidates(specs: OptionSpecs): Candidate[] {
  const own = Object.entries(specs).flatMap(([key, spec]) => {
    if (spec.hidden === true) return [];
    const { description } = spec;
    return [
      { value: `--${longName(key)}`, description },
      ...(spec.negation === undefined
        ? []
        : [{ value: `--no-${longName(key)}`, description: spec.negation }]),
      ...(spec.short === undefined ? [] : [{ value: `-${spec.short}`, description }]),
    ];
  });
  return [...own, { value: "--help", description: "Show the help" }];
}

function findOption(specs: OptionSpecs, word: string): OptionSpec | undefined {
  const found = Object.entries(specs).find(
    ([key, spec]) => word === `--${longName(key)}` || (spec.short !== undefined && word === `-${spec.short}`),
  );
  return found?.[1];
}

function takesValue(spec: OptionSpec | undefined): OptionSpec | undefined {
  return spec === undefined || spec.kind === "flag" ? undefined : spec;
}

async function choicesOf(spec: OptionSpec | undefined, names: FindNames): Promise<readonly string[]> {
  if (spec === undefined || spec.kind === "flag") return [];
  if (spec.kind === "value" && spec.choices !== undefined) return spec.choices;
  if (spec.completes === undefined) return [];
  const [kind, suffix] = spec.completes;
  return (await names(kind, "", [])).map((name) => name + suffix);
}
