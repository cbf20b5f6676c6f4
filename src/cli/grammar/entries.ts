import type { AnyCommand } from "./command.ts";

export interface CommandEntry {
  /** The name, then the aliases. */
  readonly names: readonly string[];
  /** Heading in the help text. */
  readonly group: string;
  /** Loads the command's module: only the command that is run is loaded. */
  load(this: void): Promise<AnyCommand>;
}

/** A command that only leads to others: `msb image …`. */
export interface CommandFamily {
  readonly names: readonly string[];
  /** Further names, which no help tells. */
  readonly hiddenNames?: readonly string[];
  readonly group: string;
  readonly summary: string;
  readonly members: readonly CommandEntry[];
  /** The member that is meant where none is named: `msb ssh NAME`. */
  readonly defaultMember?: string;
}

/** All there are, in the order of the help text. */
export type CommandEntries = readonly (CommandEntry | CommandFamily)[];

export function isFamily(entry: CommandEntry | CommandFamily): entry is CommandFamily {
  return "members" in entry;
}

/** The same arguments where a family is named as the help names it. */
export function withShownNames(entries: CommandEntries, args: readonly string[]): readonly string[] {
  const at = args.findIndex((arg) => !arg.startsWith("-"));
  const word = args[at];
  const family = entries.find(
    (entry) => isFamily(entry) && word !== undefined && entry.hiddenNames?.includes(word) === true,
  );
  return family === undefined ? args : args.with(at, family.names[0] ?? "");
}

/** The same arguments with the member that a family has where they name none of its own. */
export function withDefaultMember(entries: CommandEntries, args: readonly string[]): readonly string[] {
  const at = args.findIndex((arg) => !arg.startsWith("-"));
  const [word, next] = [args[at], args[at + 1]];
  const family = entries.find((entry) => isFamily(entry) && word !== undefined && entry.names.includes(word));
  if (family === undefined || !isFamily(family) || family.defaultMember === undefined) return args;
  const isNamed = family.members.some(({ names }) => next !== undefined && names.includes(next));
  if (next === undefined || isNamed || ["-h", "--help", "--tree"].includes(next)) return args;
  return args.toSpliced(at + 1, 0, family.defaultMember);
}

/** What the words before the first option name: a command, a family without one of its members, or nothing. */
export interface FoundCommand {
  readonly entry: CommandEntry | CommandFamily;
  /** How many of the words name it. */
  readonly length: number;
}

export function findEntry(entries: CommandEntries, words: readonly string[]): FoundCommand | null {
  const [name, member] = words;
  const entry = entries.find(({ names }) => name !== undefined && names.includes(name));
  if (entry === undefined) return null;
  if (!isFamily(entry)) return { entry, length: 1 };
  const found = entry.members.find(({ names }) => member !== undefined && names.includes(member));
  return found === undefined ? { entry, length: 1 } : { entry: found, length: 2 };
}
