/**
 * How a command of `msb` is described: as data, once. The quick parser, commander's help and error messages,
 * `--tree` and the shell completions are all made from it, so they cannot disagree about what exists.
 */

/** Turns the text of an option into its value; throws UsageError when the text is not one. */
export type ParseValue<T> = (text: string) => T;

interface OptionBase {
  /** One letter, without the dash. */
  readonly short?: string;
  readonly description: string;
  /** Heading in the help text. */
  readonly group?: string;
  /** Names of options that cannot be given together with this one. */
  readonly conflicts?: readonly string[];
  readonly hidden?: boolean;
  /** `--no-NAME` exists too and gives `false`. */
  readonly negation?: string;
  /** The option and its negation exclude each other; without it the later one counts. */
  readonly exclusive?: boolean;
}

export interface Flag extends OptionBase {
  readonly kind: "flag";
}

export interface Value<T> extends OptionBase {
  readonly kind: "value";
  /** Upper case, as shown in the help: `--memory <SIZE>`. */
  readonly placeholder: string;
  readonly parse: ParseValue<T>;
  readonly choices?: readonly string[];
  /** What a shell completes the beginning of a value with, and what follows that. */
  readonly completes?: readonly [kind: NameKind, suffix: string];
}

export interface Repeated<T> extends OptionBase {
  readonly kind: "repeated";
  readonly placeholder: string;
  readonly parse: ParseValue<T>;
  /** What a shell completes the beginning of a value with, and what follows that. */
  readonly completes?: readonly [kind: NameKind, suffix: string];
}

export type OptionSpec = Flag | Value<unknown> | Repeated<unknown>;

/** Keyed by the option's name in camel case: `detachKeys` is `--detach-keys` on the command line. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

export type OptionValue<O extends OptionSpec> = O extends Flag
  ? boolean | undefined
  : O extends Value<infer T>
    ? (O extends { readonly negation: string } ? T | false : T) | undefined
    : O extends Repeated<infer T>
      ? readonly T[]
      : never;

export type OptionValues<S extends OptionSpecs> = { readonly [K in keyof S]: OptionValue<S[K]> };

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/** What a shell can find the names of. `job`: of the sandbox that is the operand before; `side`: of a copy, NAME:/path or a path of this computer. */
export type NameKind = "sandbox" | "image" | "template" | "volume" | "snapshot" | "pool" | "job" | "side";

export interface Operand {
  /** Upper case, as shown in the help. */
  readonly name: string;
  readonly required: boolean;
  readonly repeated?: boolean;
  /** What a shell completes it with. */
  readonly completes?: NameKind | readonly string[];
}

export interface Invocation<S extends OptionSpecs = OptionSpecs> {
  readonly options: OptionValues<S>;
  readonly operands: readonly string[];
  /** What follows `--`; null when there was no `--`. Only for commands with `guestCommand`. */
  readonly guestCommand: readonly string[] | null;
  /** Names of the options that stood on the command line. */
  readonly given: ReadonlySet<string>;
  readonly logLevel: LogLevel | null;
}

export interface CommandSpec<S extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  /** The command that this one belongs to: `image` of `msb image pull`. */
  readonly parent?: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Further paragraphs of the help text. */
  readonly details?: string;
  readonly examples?: readonly string[];
  readonly operands?: readonly Operand[];
  /** The exit code of a failure that has none of its own; 1 when it is not given. */
  readonly failureCode?: number;
  /** What follows `--` is a command for the guest, and not operands. */
  readonly guestCommand?: boolean;
  readonly hidden?: boolean;
  readonly options: S;
  /** Returns the exit code of `msb`. */
  run(this: void, invocation: Invocation<S>): Promise<number>;
}

/** Any command, its own option types forgotten: what the parsers and the dispatcher handle. */
export interface AnyCommand extends Omit<CommandSpec, "run"> {
  run(this: void, invocation: Invocation): Promise<number>;
}

export function flag<const O extends Omit<Flag, "kind">>(option: O): O & { readonly kind: "flag" } {
  return { ...option, kind: "flag" };
}

export function value<T, const O extends Omit<Value<T>, "kind">>(
  option: O & { readonly parse: ParseValue<T> },
): Omit<O, "parse"> & { readonly kind: "value"; readonly parse: ParseValue<T> } {
  return { ...option, kind: "value" };
}

export function repeated<T>(option: Omit<Repeated<T>, "kind">): Repeated<T> {
  return { ...option, kind: "repeated" };
}

/** Declares a command; `run` sees its options with the types that their parsers return. */
export function defineCommand<const S extends OptionSpecs>(command: CommandSpec<S>): AnyCommand {
  return {
    ...command,
    // The parsers fill `options` from `command.options`, so the values have the types that S says.
    run: (invocation) => command.run(invocation as Invocation<S>),
  };
}

/** The same command under another name, on the top level: `msb pull` of `msb image pull`. */
export function alsoAs(name: string, command: AnyCommand, hidden = false): AnyCommand {
  const { parent: _parent, aliases: _aliases, ...rest } = command;
  return { ...rest, name, hidden };
}

/** As it is typed after `msb`: `image pull`. */
export function fullName(command: AnyCommand): string {
  return command.parent === undefined ? command.name : `${command.parent} ${command.name}`;
}

/** `detachKeys` → `detach-keys`. */
export function longName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
