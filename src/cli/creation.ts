import type { SandboxBuilder } from "../api/index.ts";
import { flag, longName, repeated, value, type Invocation, type LogLevel } from "./grammar/command.ts";
import type { Progress } from "./output/progress.ts";
import { parseDurationMs, parseDurationSecs } from "./values/duration.ts";
import { parseEnvironment, parseLabel, parseScript, parseScriptPath } from "./values/pairs.ts";
import { oneOf, text, wholeNumber } from "./values/simple.ts";
import { parseRootDisk, type RootDiskChoice } from "./values/root-disk.ts";
import { parseSizeMib } from "./values/size.ts";

/** The image that needs no registry: it comes with this package. */
export const embeddedImage = "localhost/base";

/** About the operand IMAGE, for the help. */
export const imageDetails = `IMAGE is a reference such as alpine or ghcr.io/owner/name:tag, which is fetched when it is not stored here; a directory of this computer (/path, ./path), which the guest then changes; or a disk image (.qcow2, .raw, .vmdk). It is ${embeddedImage}, which comes with this package, when it is not given.`;

const logLevels = ["error", "warn", "info", "debug", "trace"] as const;
const pullPolicies = ["always", "if-missing", "never"] as const;
const thpModes = ["always", "madvise", "never"] as const;

/** Options of `run` and `create` that say how a new sandbox is to be. */
export const creationOptions = {
  name: value({
    short: "n",
    placeholder: "NAME",
    description: "Name of the sandbox (generated when not given)",
    parse: text,
  }),
  cpus: value({
    short: "c",
    placeholder: "COUNT",
    description: "Virtual CPUs (1)",
    parse: wholeNumber(1, 255),
  }),
  memory: value({
    short: "m",
    placeholder: "SIZE",
    description: "Memory: 512M, 1.5G, a bare number is MiB (512M)",
    parse: parseSizeMib,
  }),
  workdir: value({
    short: "w",
    placeholder: "PATH",
    description: "Working directory in the guest",
    parse: text,
  }),
  shell: value({ placeholder: "PATH", description: "Shell of the guest (/bin/sh)", parse: text }),
  entrypoint: value({
    placeholder: "PROGRAM",
    description: "Program put before the command, instead of the image's; empty for none",
    parse: text,
  }),
  hostname: value({
    short: "H",
    placeholder: "NAME",
    description: "Host name in the guest (the sandbox's name)",
    parse: text,
  }),
  user: value({
    short: "u",
    placeholder: "USER",
    description: "User of the commands: name, uid, user:group or uid:gid",
    parse: text,
  }),
  env: repeated({
    short: "e",
    placeholder: "NAME[=VALUE]",
    description: "Environment variable; without a value, it is copied from here. Repeatable",
    parse: (pair) => parseEnvironment(pair),
  }),
  label: repeated({
    placeholder: "KEY[=VALUE]",
    description: "Label, to select sandboxes by. Repeatable",
    parse: parseLabel,
  }),
  script: repeated({
    placeholder: "NAME=TEXT",
    description: "Script /.msb/scripts/NAME, on the guest's PATH. Repeatable",
    parse: parseScript,
  }),
  scriptPath: repeated({
    placeholder: "NAME:FILE",
    description: "The same from a file. Repeatable",
    parse: parseScriptPath,
  }),
  pull: value({
    placeholder: "POLICY",
    description: `When to fetch the image: ${pullPolicies.join(", ")} (if-missing)`,
    parse: oneOf(pullPolicies),
    choices: pullPolicies,
  }),
  rootDisk: value({
    placeholder: "DISK",
    description:
      "What the guest writes to, over the image: a size such as 8G, or tmpfs[:SIZE] for memory (4G)",
    parse: parseRootDisk,
  }),
  maxDuration: value({
    placeholder: "DURATION",
    description: "Stop the sandbox this long after its start: 30s, 5m, 2h",
    parse: parseDurationSecs,
  }),
  idleTimeout: value({
    placeholder: "DURATION",
    description: "Stop the sandbox when nothing ran in it for this long",
    parse: parseDurationSecs,
  }),
  thp: value({
    placeholder: "MODE",
    description: `Huge pages in the guest: ${thpModes.join(", ")} (madvise)`,
    parse: oneOf(thpModes),
    choices: thpModes,
  }),
  logLevel: value({
    placeholder: "LEVEL",
    description: `Log level of the sandbox: ${logLevels.join(", ")} (warn)`,
    parse: oneOf(logLevels),
    choices: logLevels,
  }),
  replace: flag({ description: "Stop and remove a sandbox that has the name already" }),
  replaceWithTimeout: value({
    placeholder: "DURATION",
    description: "As --replace, with another time for its orderly stop (10s; 0 = kill)",
    parse: parseDurationMs,
  }),
  quiet: flag({ short: "q", description: "Print nothing but errors and the command's own output" }),
} as const;

/** Options that say nothing about the sandbox itself. */
const notCreating: ReadonlySet<string> = new Set(["name", "quiet", "replace", "replaceWithTimeout"]);

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

/** Transfers the options to the SDK's builder. */
export function configure(
  builder: SandboxBuilder,
  image: string,
  options: CreationValues,
  logLevel: LogLevel | null,
  progress: Progress,
): SandboxBuilder {
  const { onProgress, onNotice, onPullProgress } = progress.observer;
  builder.image(image).onProgress(onProgress).onNotice(onNotice).onPullProgress(onPullProgress);
  if (options.cpus !== undefined) builder.cpus(options.cpus);
  if (options.memory !== undefined) builder.memory(options.memory);
  if (options.workdir !== undefined) builder.workdir(options.workdir);
  if (options.shell !== undefined) builder.shell(options.shell);
  if (options.entrypoint !== undefined)
    builder.entrypoint(options.entrypoint === "" ? [] : [options.entrypoint]);
  if (options.hostname !== undefined) builder.hostname(options.hostname);
  if (options.user !== undefined) builder.user(options.user);
  if (options.pull !== undefined) builder.pullPolicy(options.pull);
  if (options.rootDisk !== undefined) setRootDisk(builder, options.rootDisk);
  if (options.maxDuration !== undefined) builder.maxDuration(options.maxDuration);
  if (options.idleTimeout !== undefined) builder.idleTimeout(options.idleTimeout);
  if (options.thp !== undefined) builder.thp(options.thp);
  for (const [key, content] of options.env) builder.env(key, content);
  for (const [key, content] of options.label) builder.label(key, content);
  for (const [name, content] of [...options.script, ...options.scriptPath]) builder.script(name, content);
  const level = options.logLevel ?? logLevel;
  if (level !== null) builder.logLevel(level);
  if (options.replace === true) builder.replace();
  if (options.replaceWithTimeout !== undefined) builder.replaceWithTimeout(options.replaceWithTimeout);
  return builder;
}
