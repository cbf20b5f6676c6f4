import { smallSha256 } from "../../host/digest.ts";
import { configuredRootDisk, type GlobalConfig } from "../global/global-config.ts";
import { filledNetwork, networkSettingsOf } from "../network/network-settings.ts";
import { portPairs } from "../network/ports.ts";
import { defaultRootDisk } from "../root-disk.ts";
import { settingEntries, type SettingKey } from "../settings/table.ts";
import { deepFreeze, type SandboxConfig } from "./sandbox-config.ts";
import type { StoredConfig } from "./stored-config.ts";

const hostnameMaximumBytes = 64;

/** Fills in what was not set: the user's settings, then the built-in defaults. */
export function effectiveConfig(
  config: SandboxConfig,
  globals: GlobalConfig,
  kernelPath: string | null,
): StoredConfig {
  // A directory or a disk image is written itself.
  const rootDisk = config.image.kind === "oci" ? configuredRootDisk(globals) : null;
  const metricsOff = globals.sandbox_defaults?.disable_metrics_sample === true;
  const derived: Partial<Record<SettingKey, unknown>> = {
    hostname: hostnameFor(config.name),
    rootDisk: rootDisk ?? defaultRootDisk,
    ...(metricsOff ? { metricsSampleIntervalMs: 0 } : {}),
  };
  const filled = settingEntries
    .filter(([, { stored }]) => stored)
    .map(([key, { global, default: builtIn }]) => {
      const open = derived[key] ?? valueAt(globals, global) ?? builtIn;
      return [key, config[key] ?? open] as const;
    });
  // The table says what each one is made of, and `StoredConfig` is made from the table.
  return {
    ...(Object.fromEntries(filled) as Partial<StoredConfig>),
    network: config.disableNetwork ? null : filledNetwork(config.network),
    imageDigest: null,
    snapshotDigest: null,
    forkedFrom: null,
    kernelPath,
  } as StoredConfig;
}

/** The configuration of a sandbox that exists, with every default filled in. */
export function configOf({
  name,
  config,
}: {
  readonly name: string;
  readonly config: StoredConfig;
}): SandboxConfig {
  const { kernelPath, ...stored } = config;
  const ofCreation = settingEntries
    .filter((entry) => !entry[1].stored)
    .map(([key, { initial }]) => [key, initial]);
  const unset = Object.fromEntries(ofCreation) as Partial<SandboxConfig>;
  const network = networkSettingsOf(config);
  return deepFreeze({
    ...unset,
    ...stored,
    network,
    portsTcp: portPairs(config.ports, "tcp"),
    portsUdp: portPairs(config.ports, "udp"),
    secrets: network.secrets,
    name,
    libkrunfwPath: kernelPath,
  } as SandboxConfig);
}

/** @param path such as `sandbox_defaults.cpus` */
function valueAt(globals: GlobalConfig, path: string | undefined): unknown {
  let value: unknown = path === undefined ? null : globals;
  for (const key of path?.split(".") ?? []) value = (Object(value) as Readonly<Record<string, unknown>>)[key];
  return value;
}

/** Deterministic, so that a sandbox made again has the same hostname. */
export function hostnameFor(name: string): string {
  if (Buffer.byteLength(name) <= hostnameMaximumBytes) return name;
  const hash = smallSha256(name).slice(0, 8);
  return `${name.slice(0, hostnameMaximumBytes - hash.length - 1)}-${hash}`;
}
