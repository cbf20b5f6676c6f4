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
  readonly group: string;
  readonly summary: string;
  readonly members: readonly CommandEntry[];
}

/** All there are, in the order of the help text. */
export type CommandEntries = readonly (CommandEntry | CommandFamily)[];

export function isFamily(entry: CommandEntry | CommandFamily): entry is CommandFamily {
  return "members" in entry;
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
