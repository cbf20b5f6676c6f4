import { Patch, type SandboxBuilder } from "../api/index.ts";
import { configureMount } from "../config/mounts/mount-config.ts";
import type { OutboundProxy, PublishedPort } from "../config/network/network-type.ts";
import { checkProxy } from "../config/network/proxy/proxy.ts";
import type { AnySetting, FlagOf, InputValue } from "../config/settings/setting.ts";
import { settersOf, settingEntries, type SettingKey, type Settings } from "../config/settings/table.ts";
import {
  flag,
  longName,
  repeated,
  value,
  type Flag,
  type Invocation,
  type LogLevel,
  type OptionSpec,
  type ParseValue,
  type Repeated,
  type Value,
} from "./grammar/command.ts";
import { hasNetworkFlags, networkFlags, sayNetwork } from "./network/network-flags.ts";
import { mountFlags, mountsOf } from "./mount-flags.ts";
import { UsageError } from "./output/usage-error.ts";
import type { Progress } from "./output/progress.ts";
import { parseEnvironment, parseLabel, parseScript, parseScriptPath, type Pair } from "./values/pairs.ts";
import { parseCopy, parseCopyDir, parseCopyFile, parseRemoval } from "./values/patches.ts";
import { parseRootDisk, type RootDiskChoice } from "./values/root-disk.ts";
import { parseVolume, type MountChoice } from "./values/mount.ts";
import { parsePort, usable } from "./network/port.ts";
import { parserOf } from "./values/setting-value.ts";
import { filled } from "./values/simple.ts";

/** The image that needs no registry: it comes with this package. */
export const embeddedImage = "localhost/base";

/** About the operand IMAGE, for the help. */
export const imageDetails = `IMAGE is a reference such as alpine or ghcr.io/owner/name:tag, which is fetched when it is not stored here; a directory of this computer (/path, ./path), which the guest then changes; or a disk image (.qcow2, .raw, .vmdk). It is ${embeddedImage}, which comes with this package, when it is not given.`;

/** The settings of which each option adds something. */
const repeatedParsers = {
  env: (pair: string) => parseEnvironment(pair),
  labels: parseLabel,
  scripts: parseScript,
  mounts: parseVolume,
  ports: parsePort,
} as const satisfies Partial<Record<SettingKey, ParseValue<Pair | MountChoice | PublishedPort>>>;

/** Options of structures, of which the last one counts. */
const structureParsers = { rootDisk: parseRootDisk, proxy: parseProxy } as const;

function parseProxy(url: string): OutboundProxy {
  return usable(() => checkProxy("proxy", url));
}

type OptionOf<Key extends SettingKey> = Key extends keyof typeof repeatedParsers
  ? Repeated<ReturnType<(typeof repeatedParsers)[Key]>>
  : Key extends keyof typeof structureParsers
    ? Value<ReturnType<(typeof structureParsers)[Key]>>
    : InputValue<Settings[Key]> extends boolean
      ? Flag
      : Value<InputValue<Settings[Key]>>;

type SettingOptions = { readonly [Key in SettingKey as FlagOf<Settings[Key]>]: OptionOf<Key> };

function optionOf(key: SettingKey, { type, cli }: AnySetting): [name: string, option: OptionSpec][] {
  if (cli === undefined) return [];
  const { flag: name, placeholder = "", ...words } = cli;
  const parse = repeatedParsers[key as keyof typeof repeatedParsers] as ParseValue<unknown> | undefined;
  if (parse !== undefined) {
    const completes = key === "mounts" ? { completes: ["volume", ":"] as const } : {};
    return [[name, repeated({ ...words, ...completes, placeholder, parse })]];
  }
  const parseOne = structureParsers[key as keyof typeof structureParsers] as ParseValue<unknown> | undefined;
  if (parseOne !== undefined) return [[name, value({ ...words, placeholder, parse: parseOne })]];
  if (type.form.kind === "flag") return [[name, flag(words)]];
  const choices = type.form.kind === "choice" ? { choices: type.form.words } : {};
  const completes = key === "fromSnapshot" ? { completes: ["snapshot", ""] as const } : {};
  return [[name, value({ ...words, ...choices, ...completes, placeholder, parse: parserOf(type.form) })]];
}

/** Options of `run` and `create` that say how a new sandbox is to be. Those of settings are described in `src/config/settings`. */
export const creationOptions = {
  name: value({
    short: "n",
    placeholder: "NAME",
    description: "Name of the sandbox (generated when not given)",
    parse: filled("a name"),
  }),
  // The type is made from the same table.
  ...(Object.fromEntries(
    settingEntries.flatMap(([key, setting]) => optionOf(key, setting)),
  ) as SettingOptions),
  fromSnap: value({
    placeholder: "NAME|PATH",
    description: "The same as --from-snapshot",
    hidden: true,
    conflicts: ["fromSnapshot"],
    completes: ["snapshot", ""],
    parse: filled("a snapshot"),
  }),
  scriptPath: repeated({
    placeholder: "NAME:FILE",
    description: "As --script, from a file. Repeatable",
    parse: parseScriptPath,
  }),
  ...mountFlags,
  ...networkFlags,
  copy: repeated({
    placeholder: "SRC:DST",
    description:
      "Copy a file or directory of this computer into the root, before the first command. Repeatable",
    parse: parseCopy,
  }),
  copyFile: repeated({
    placeholder: "SRC:DST",
    description: "As --copy, for a file alone. Repeatable",
    parse: parseCopyFile,
  }),
  copyDir: repeated({
    placeholder: "SRC:DST",
    description: "As --copy, for a directory alone. Repeatable",
    parse: parseCopyDir,
  }),
  mkdir: repeated({
    placeholder: "PATH",
    description: "Make a directory in the root, before anything is copied. Repeatable",
    parse: filled("a path"),
  }),
  rm: repeated({
    placeholder: "PATH",
    description: "Remove a file or directory from the root, before all else. Repeatable",
    parse: parseRemoval,
  }),
  quiet: flag({ short: "q", description: "Print nothing but errors and the command's own output" }),
} as const;

/** Options that say nothing about the sandbox itself. */
const notCreating: ReadonlySet<string> = new Set([
  "name",
  "quiet",
  ...settingEntries.flatMap(([, { stored, cli }]) => (stored || cli === undefined ? [] : [cli.flag])),
]);

export type CreationValues = Invocation<typeof creationOptions>["options"];

/** `msb-` and 8 hexadecimal digits. No secret: so without node:crypto, which takes a tenth of Node's start to load. */
export function generatedName(): string {
  const number = Math.floor(Math.random() * 2 ** 32);
  return `msb-${number.toString(16).padStart(8, "0")}`;
}

/** The options on the command line that only matter to a new sandbox, as they are written: `--cpus`. */
export function givenCreationFlags(
  given: ReadonlySet<string>,
  alsoPerCommand: ReadonlySet<string>,
): string[] {
  return Object.keys(creationOptions)
    .filter((key) => given.has(key) && !notCreating.has(key) && !alsoPerCommand.has(key))
    .map((key) => `--${longName(key)}`);
}

function setRootDisk(builder: SandboxBuilder, choice: RootDiskChoice): void {
  builder.rootDisk((disk) => {
    if (choice.kind === "flat") return disk.flat();
    if (choice.kind === "disk") return disk.disk(choice.path);
    if (choice.kind === "tmpfs") disk.tmpfs();
    return choice.sizeMib === null ? disk : disk.size(choice.sizeMib);
  });
}

function publish(builder: SandboxBuilder, port: PublishedPort): void {
  const { hostBind, hostPort, guestPort, protocol, proxyProtocol } = port;
  if (protocol === "udp") builder.portUdpBind(hostBind, hostPort, guestPort);
  else builder.portBind(hostBind, hostPort, guestPort, { proxyProtocol });
}

/** Transfers the options to the SDK's builder. @param image undefined: none was given */
export function configure(
  builder: SandboxBuilder,
  image: string | undefined,
  options: CreationValues,
  logLevel: LogLevel | null,
  progress: Progress,
): SandboxBuilder {
  const { onProgress, onNotice, onPullProgress } = progress.observer;
  const fromSnapshot = options.fromSnapshot ?? options.fromSnap;
  if (fromSnapshot === undefined) builder.image(image ?? embeddedImage);
  else if (image !== undefined) {
    throw new UsageError(
      `an image and --from-snapshot are given: ${image}.`,
      "A snapshot has an image: leave one of them out.",
    );
  }
  builder.onProgress(onProgress).onNotice(onNotice).onPullProgress(onPullProgress);
  const values: Readonly<Record<string, unknown>> = {
    ...options,
    fromSnapshot,
    logLevel: options.logLevel ?? logLevel,
  };
  for (const [key, setting] of settingEntries) {
    const given = setting.cli === undefined ? undefined : values[setting.cli.flag];
    if (given === undefined || given === null || key in repeatedParsers || key === "rootDisk") continue;
    setterOf(builder, key, setting)(given);
  }
  if (options.rootDisk !== undefined) setRootDisk(builder, options.rootDisk);
  for (const [key, content] of options.env) builder.env(key, content);
  for (const [key, content] of options.label) builder.label(key, content);
  for (const [name, content] of [...options.script, ...options.scriptPath]) builder.script(name, content);
  for (const { guest, config } of mountsOf(options))
    builder.volume(guest, (mount) => configureMount(mount, `the mount at ${guest}`, config));
  for (const port of options.port) publish(builder, port);
  if (options.net === false && options.port.length > 0)
    throw new UsageError(
      "--no-net cannot be used with --port.",
      "Nobody may come then: leave one of them out.",
    );
  if (hasNetworkFlags(options)) builder.network((network) => sayNetwork(network, options));
  const { copy, copyFile, copyDir, mkdir, rm } = options;
  const made = [...rm.map(Patch.remove), ...mkdir.map((path) => Patch.mkdir(path))];
  for (const patch of [...made, ...copy, ...copyFile, ...copyDir]) builder.addPatch(patch);
  return builder;
}

/** The builder's setter of a setting; the option's parser makes what it takes. */
function setterOf(
  builder: SandboxBuilder,
  key: SettingKey,
  setting: AnySetting,
): (value: unknown) => unknown {
  const [name = ""] = settersOf(key, setting);
  const setters = builder as unknown as Readonly<Record<string, (value: unknown) => unknown>>;
  const setter = setters[name];
  if (setter === undefined) throw new Error(`the builder has no setter ${name}`);
  return setter.bind(builder);
}
