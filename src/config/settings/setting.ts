/**
 * What a setting of a sandbox is. A setting is one entry of a table in this folder: its check, key of the configuration object,
 * form in the record, option of the command line, line of `msb inspect` and row of `docs/configuration.md` come from that entry.
 */

/** What the values of a setting are made of: decides how they are stored, parsed, shown and described. */
export type Form =
  | { readonly kind: "whole"; readonly minimum: number; readonly maximum: number }
  | { readonly kind: "mebibytes" }
  | { readonly kind: "seconds" }
  /** 0 has a meaning of its own. */
  | { readonly kind: "milliseconds"; readonly maximum: number }
  | { readonly kind: "text" }
  | { readonly kind: "choice"; readonly words: readonly string[] }
  | { readonly kind: "flag" }
  /** A command line. */
  | { readonly kind: "words" }
  /** Anything else: its stored form, its option and its text are written by hand, by the setting's key. */
  | { readonly kind: "structure" };

/** A kind of value. `Input` is what users may give for it. */
export interface SettingType<Value, Input> {
  readonly form: Form;
  /** For people, with the unit: `1 to 255`. */
  readonly values: string;
  /** @throws InvalidConfigError that names the setting */
  check(name: string, input: Input): Value;
  /** Several calls add to each other; without it the last one counts. @throws InvalidConfigError */
  join?(earlier: Value, later: Value): Value;
}

/** When a change of a sandbox that exists reaches it while it runs. */
export type LaterChange =
  /** At once. */
  | "live"
  /** At once, up to what the guest was booted with; beyond it with the next start. */
  | "live up to the maximum"
  /** With the next command. */
  | "next command"
  /** With the next start. */
  | "restart"
  /** Not without making the sandbox anew. */
  | "never";

export interface CliOption<Flag extends string> {
  /** In camel case: `rootDisk` is `--root-disk`. */
  readonly flag: Flag;
  readonly short?: string;
  /** Upper case, as in the help. A flag has none. */
  readonly placeholder?: string;
  readonly description: string;
}

interface Description<Value, Input, Flag extends string, Global extends string> {
  readonly type: SettingType<Value, Input>;
  /** What it means, one line, as `docs/configuration.md` has it. */
  readonly meaning: string;
  /** Its setters of the builder, when they are not one of the setting's key. */
  readonly setters?: readonly string[];
  /** What holds where nothing is said and `default` has nothing, for people; without it: nothing. */
  readonly otherwise?: string;
  /** An image may say it: `whole` when the user did not, `by key` for what the user's keys leave. */
  readonly image?: "whole" | "by key";
  /** Its default in the user's `config.json`: the path of the key. */
  readonly global?: Global;
  readonly cli?: CliOption<Flag>;
  /** The title of its line in `msb inspect`; settings may share one. */
  readonly inspect?: string;
  readonly change: LaterChange;
}

declare const storedForm: unique symbol;

/**
 * One setting. `Config`: in {@link SandboxConfig}; `Stored`: in the record, `never` when it is not stored; `Input`: in the
 * configuration object; `Flag` and `Global`: its names on the command line and in `config.json`.
 */
export interface Setting<
  Config,
  Stored,
  Input,
  Flag extends string = never,
  Global extends string = never,
> extends Description<Exclude<Config, null>, Input, Flag, Global> {
  /** What a configuration has when nobody said anything. */
  readonly initial: Config | null;
  /** What the record has then; null = nothing, or what has to be worked out. */
  readonly default: Config | null;
  readonly stored: boolean;
  /** Whether the record may have null. */
  readonly nullable: boolean;
  readonly [storedForm]?: Stored;
}

/** Any setting, its own types forgotten. */
export type AnySetting = Setting<unknown, unknown, unknown, string, string>;

type Filled<Value, Default> = Default extends null ? Value | null : Value;

/** A setting that stays open (null) until the sandbox is created: then the image, `config.json` and the default fill it in. */
export function setting<
  Value,
  Input,
  const Default extends Value | null,
  const Flag extends string = never,
  const Global extends string = never,
>(
  entry: Description<Value, Input, Flag, Global> & { readonly default: Default },
): Setting<Value | null, Filled<Value, Default>, Input, Flag, Global> {
  return { ...entry, initial: null, stored: true, nullable: entry.default === null } as Setting<
    Value | null,
    Filled<Value, Default>,
    Input,
    Flag,
    Global
  >;
}

/** A setting that stays open, whose default is worked out when the sandbox is created. */
export function derivedSetting<
  Value,
  Input,
  const Flag extends string = never,
  const Global extends string = never,
>(
  entry: Description<Value, Input, Flag, Global> & { readonly otherwise: string },
): Setting<Value | null, Value, Input, Flag, Global> {
  return { ...entry, default: null, initial: null, stored: true, nullable: false } as Setting<
    Value | null,
    Value,
    Input,
    Flag,
    Global
  >;
}

/** A setting that always has a value. */
export function settledSetting<Value, Input, const Flag extends string = never>(
  entry: Description<Value, Input, Flag, never> & { readonly default: Value },
): Setting<Value, Value, Input, Flag> {
  return { ...entry, initial: entry.default, stored: true, nullable: false } as Setting<
    Value,
    Value,
    Input,
    Flag
  >;
}

/**
 * A structure that has one form while it is put together, one in a configuration, and one in the record, where null means that there
 * is none. Whoever finishes a configuration or stores it makes the one of the other by hand.
 */
export function reshapedSetting<Config, Stored, Asked, Input>(
  entry: Description<Asked, Input, never, never>,
): Setting<Config | null, Stored | null, Input> {
  return { ...entry, default: null, initial: null, stored: true, nullable: true } as unknown as Setting<
    Config | null,
    Stored | null,
    Input
  >;
}

/** A setting without which there is no sandbox. */
export function requiredSetting<Value, Input>(
  entry: Description<Value, Input, never, never>,
): Setting<Value, Value, Input> {
  return { ...entry, default: null, initial: null, stored: true, nullable: false } as Setting<
    Value,
    Value,
    Input
  >;
}

/** A setting of the creation alone: the sandbox does not keep it. */
export function creationSetting<
  Value,
  Input,
  const Default extends Value | null,
  const Flag extends string = never,
  const Global extends string = never,
>(
  entry: Description<Value, Input, Flag, Global> & { readonly default: Default },
): Setting<Filled<Value, Default>, never, Input, Flag, Global> {
  return { ...entry, initial: entry.default, stored: false, nullable: false } as unknown as Setting<
    Filled<Value, Default>,
    never,
    Input,
    Flag,
    Global
  >;
}

/** The fields of a configuration. */
export type ConfigOf<Table> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer Config, unknown, unknown, string, string>
    ? Config
    : never;
};

/** The fields of a record. */
export type StoredOf<Table> = {
  readonly [Key in keyof Table as IsStored<Table[Key]> extends true ? Key : never]: StoredValue<Table[Key]>;
};

/** The fields of the configuration object. */
export type InputOf<Table> = {
  readonly [Key in keyof Table]?: InputValue<Table[Key]> | null;
};

export type InputValue<S> = S extends Setting<unknown, unknown, infer Input, string, string> ? Input : never;

type StoredValue<S> = S extends Setting<unknown, infer Stored, unknown, string, string> ? Stored : never;

type IsStored<S> = [StoredValue<S>] extends [never] ? false : true;

/** The option of a setting, by its key. */
export type FlagOf<S> = S extends Setting<unknown, unknown, unknown, infer Flag, string> ? Flag : never;

/** The path of a setting in `config.json`. */
export type GlobalOf<S> = S extends Setting<unknown, unknown, unknown, string, infer Global> ? Global : never;
