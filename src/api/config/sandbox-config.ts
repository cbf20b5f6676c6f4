import { configuredRootDisk, type GlobalConfig } from "../../store/global-config.ts";
import { defaultRootDisk } from "../../config/root-disk.ts";
import { smallSha256 } from "../../host/digest.ts";
import type { SandboxRecord, StoredConfig } from "../../store/sandbox-record.ts";
import type { EnvPair } from "../../config/env.ts";
import type { LogLevel, PullPolicy, ThpMode } from "../../config/enums.ts";
import type { RegistryConfig } from "./registry-config.ts";
import type { Rlimit } from "../../config/rlimits.ts";
import type { RootDisk } from "../../config/root-disk-builder.ts";
import type { RootfsSource } from "../../config/rootfs-source.ts";

/** A sandbox as it was asked for. Frozen. `null`: not set. Sizes in MiB, times in the unit of the name. */
export interface SandboxConfig {
  readonly name: string;
  readonly image: RootfsSource;
  readonly cpus: number | null;
  readonly memoryMib: number | null;
  readonly logLevel: LogLevel | null;
  readonly quietLogs: boolean;
  readonly workdir: string | null;
  readonly shell: string | null;
  readonly hostname: string | null;
  readonly user: string | null;
  readonly libkrunfwPath: string | null;
  readonly entrypoint: readonly string[] | null;
  readonly cmd: readonly string[] | null;
  readonly env: readonly EnvPair[];
  readonly scripts: readonly (readonly [name: string, content: string])[];
  readonly labels: Readonly<Record<string, string>>;
  readonly rlimits: readonly Rlimit[];
  readonly pullPolicy: PullPolicy | null;
  readonly replace: boolean;
  readonly replaceWithTimeoutMs: number;
  readonly maxDurationSecs: number | null;
  readonly idleTimeoutSecs: number | null;
  readonly ephemeral: boolean;
  readonly detached: boolean;
  readonly disableNetwork: boolean;
  readonly metricsSampleIntervalMs: number | null;
  readonly thp: ThpMode | null;
  readonly rootDisk: RootDisk | null;
  /** Only while the sandbox is put together: it is not stored. */
  readonly registry: RegistryConfig | null;
  /** Of the image's manifest, which the sandbox keeps whatever the reference means later; null for what is no image. */
  readonly imageDigest: string | null;
  /** What its processes get first when it stops, such as `SIGQUIT`; null = what the image says, else `SIGTERM`. */
  readonly stopSignal: string | null;
}

const hostnameMaximumBytes = 64;

/** Fills in what was not set: the user's settings, then the built-in defaults. */
export function effectiveConfig(
  config: SandboxConfig,
  settings: GlobalConfig,
  kernelPath: string | null,
): StoredConfig {
  const defaults = settings.sandbox_defaults ?? {};
  const interval =
    defaults.disable_metrics_sample === true ? 0 : (defaults.metrics_sample_interval_ms ?? 1000);
  // A directory or a disk image is written itself.
  const rootDisk = config.image.kind === "oci" ? configuredRootDisk(settings) : null;
  return {
    image: { ...config.image },
    cpus: config.cpus ?? defaults.cpus ?? 1,
    memoryMib: config.memoryMib ?? defaults.memory_mib ?? 512,
    logLevel: config.logLevel ?? settings.log_level ?? null,
    quietLogs: config.quietLogs,
    workdir: config.workdir ?? defaults.workdir ?? null,
    shell: config.shell ?? defaults.shell ?? "/bin/sh",
    hostname: config.hostname ?? hostnameFor(config.name),
    user: config.user,
    entrypoint: config.entrypoint === null ? null : [...config.entrypoint],
    cmd: config.cmd === null ? null : [...config.cmd],
    env: config.env.map(([key, value]): [string, string] => [key, value]),
    scripts: config.scripts.map(([name, content]): [string, string] => [name, content]),
    labels: { ...config.labels },
    rlimits: config.rlimits.map((limit) => ({ ...limit })),
    pullPolicy: config.pullPolicy ?? "if-missing",
    maxDurationSecs: config.maxDurationSecs,
    idleTimeoutSecs: config.idleTimeoutSecs,
    ephemeral: config.ephemeral,
    disableNetwork: config.disableNetwork,
    metricsSampleIntervalMs: config.metricsSampleIntervalMs ?? interval,
    thp: config.thp ?? defaults.thp ?? "madvise",
    rootDisk: { ...(config.rootDisk ?? rootDisk ?? defaultRootDisk) },
    imageDigest: null,
    stopSignal: config.stopSignal,
    kernelPath,
  };
}

/** The configuration of a sandbox that exists, with every default filled in. */
export function configOf(record: SandboxRecord): SandboxConfig {
  const { kernelPath, ...config } = record.config;
  return deepFreeze({
    name: record.name,
    ...config,
    image: config.image as RootfsSource,
    rlimits: config.rlimits as readonly Rlimit[],
    libkrunfwPath: kernelPath,
    registry: null,
    replace: false,
    replaceWithTimeoutMs: 10_000,
    detached: false,
  });
}

/** Deterministic, so that a sandbox made again has the same hostname. */
function hostnameFor(name: string): string {
  if (Buffer.byteLength(name) <= hostnameMaximumBytes) return name;
  const hash = smallSha256(name).slice(0, 8);
  return `${name.slice(0, hostnameMaximumBytes - hash.length - 1)}-${hash}`;
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
