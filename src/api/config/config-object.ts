import { InvalidConfigError } from "../../errors/index.ts";
import { envPairs, type EnvInput } from "../../config/env.ts";
import { registryFromInput, type RegistryInput } from "./registry-config.ts";
import type { Rlimit } from "../../config/rlimits.ts";
import type { RootDiskInput } from "../../config/root-disk-builder.ts";
import type { RootfsSource } from "../../config/rootfs-source.ts";
import { SandboxDraft, settersOf } from "./sandbox-draft.ts";

/** A sandbox's configuration as one object: the other way to say what {@link SandboxBuilder} says. */
export interface SandboxConfigInput {
  readonly name: string;
  readonly image: string | RootfsSource;
  readonly cpus?: number | null;
  readonly memoryMib?: number | null;
  readonly entrypoint?: readonly string[] | null;
  readonly cmd?: readonly string[] | null;
  readonly env?: EnvInput;
  readonly hostname?: string | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly logLevel?: string | null;
  readonly quietLogs?: boolean;
  readonly maxDurationSecs?: number | null;
  readonly idleTimeoutSecs?: number | null;
  readonly pullPolicy?: string | null;
  readonly replace?: boolean;
  /** Grace of the one that is replaced, ms; by default 10000. */
  readonly replaceWithTimeoutMs?: number | null;
  /** `create` then behaves as `createDetached`. */
  readonly detached?: boolean;
  readonly scripts?: EnvInput;
  readonly shell?: string | null;
  readonly user?: string | null;
  readonly workdir?: string | null;
  readonly libkrunfwPath?: string | null;
  /** By name, `SIGINT`, or number. */
  readonly stopSignal?: string | null;
  readonly disableNetwork?: boolean;
  readonly ephemeral?: boolean;
  readonly rlimits?: readonly Rlimit[];
  readonly thp?: string | null;
  readonly metricsSampleIntervalMs?: number | null;
  /** Who pulls the image; `registry.auth` wins over it. */
  readonly registryAuth?: { readonly username: string; readonly password: string } | null;
  readonly registry?: RegistryInput | null;
  /** A size in MiB, or what kind and how large. */
  readonly rootDisk?: RootDiskInput | null;
}

/** Settings of the configuration object that a later version brings. */
const laterKeys: ReadonlySet<string> = new Set([
  "cpuPlacement",
  "deploymentProfile",
  "fromSnapshot",
  "init",
  "maxCpus",
  "maxMemoryMib",
  "mounts",
  "network",
  "patches",
  "placementProfile",
  "ports",
  "portsTcp",
  "portsUdp",
  "proxy",
  "secrets",
  "security",
  "securityProfile",
  "volumes",
  "vsock",
]);

/** Values of later settings that ask for what is done anyway. */
const harmlessValues: Readonly<Record<string, unknown>> = {
  cpuPlacement: "inherit",
  deploymentProfile: "single-tenant",
  security: "default",
  securityProfile: "default",
};

const knownKeys: ReadonlySet<string> = new Set<keyof SandboxConfigInput>([
  "name",
  "image",
  "cpus",
  "memoryMib",
  "entrypoint",
  "cmd",
  "env",
  "hostname",
  "labels",
  "logLevel",
  "quietLogs",
  "maxDurationSecs",
  "idleTimeoutSecs",
  "pullPolicy",
  "replace",
  "replaceWithTimeoutMs",
  "detached",
  "scripts",
  "shell",
  "user",
  "workdir",
  "libkrunfwPath",
  "stopSignal",
  "disableNetwork",
  "ephemeral",
  "rlimits",
  "thp",
  "metricsSampleIntervalMs",
  "registryAuth",
  "registry",
  "rootDisk",
]);

export function draftFromConfig(input: SandboxConfigInput): SandboxDraft {
  const given: unknown = input;
  if (typeof given !== "object" || given === null)
    throw new TypeError("the sandbox configuration must be an object");
  const draft = new SandboxDraft(input.name);
  const set = settersOf(draft);
  const ifGiven = <T>(value: T | null | undefined, use: (value: T) => void): void => {
    if (value !== null && value !== undefined) use(value);
  };
  ifGiven(input.image, (value) => {
    draft.image(value);
  });
  ifGiven(input.cpus, set.cpus);
  ifGiven(input.memoryMib, set.memory);
  ifGiven(input.entrypoint, set.entrypoint);
  ifGiven(input.cmd, set.cmd);
  ifGiven(input.env, (value) => {
    draft.env(value);
  });
  ifGiven(input.hostname, set.hostname);
  ifGiven(input.labels, (value) => {
    draft.labels(Object.entries(value));
  });
  ifGiven(input.logLevel, set.logLevel);
  ifGiven(input.maxDurationSecs, set.maxDuration);
  ifGiven(input.idleTimeoutSecs, set.idleTimeout);
  ifGiven(input.pullPolicy, set.pullPolicy);
  ifGiven(input.scripts, (value) => {
    draft.scripts(envPairs(value));
  });
  ifGiven(input.shell, set.shell);
  ifGiven(input.user, set.user);
  ifGiven(input.workdir, set.workdir);
  ifGiven(input.libkrunfwPath, set.libkrunfwPath);
  ifGiven(input.stopSignal, set.stopSignal);
  ifGiven(input.thp, set.thp);
  ifGiven(input.metricsSampleIntervalMs, set.metricsSampleIntervalMs);
  ifGiven(input.rootDisk, (value) => {
    draft.rootDisk(value);
  });
  ifGiven(input.registryAuth, (value) => {
    draft.attempt((fields) => (fields.registry = registryFromInput({ auth: value })));
  });
  ifGiven(input.registry, (value) => {
    draft.attempt((fields) => {
      const { auth } = fields.registry ?? {};
      const registry = registryFromInput(value);
      fields.registry = auth === undefined ? registry : { auth, ...registry };
    });
  });
  for (const { resource, soft, hard } of input.rlimits ?? []) draft.rlimit(resource, soft, hard);
  draft.attempt((fields) => {
    fields.quietLogs = input.quietLogs ?? false;
    fields.replace = input.replace ?? false;
    fields.detached = input.detached ?? false;
    fields.disableNetwork = input.disableNetwork ?? false;
    fields.ephemeral = input.ephemeral ?? false;
  });
  ifGiven(input.replaceWithTimeoutMs, set.replaceWithTimeoutMs);
  for (const [key, value] of Object.entries(given)) if (!knownKeys.has(key)) refuseLater(draft, key, value);
  return draft;
}

function refuseLater(draft: SandboxDraft, key: string, value: unknown): void {
  if (laterKeys.has(key)) {
    if (isSet(value) && value !== harmlessValues[key]) draft.notYet(key);
    return;
  }
  draft.attempt(() => {
    throw new InvalidConfigError(`the sandbox configuration has no field ${JSON.stringify(key)}`, {
      hint: "Look for a misspelling.",
    });
  });
}

/** An empty list or object says nothing. */
function isSet(value: unknown): boolean {
  if (value === null || value === undefined) return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}
