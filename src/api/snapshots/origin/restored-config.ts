import type { GlobalConfig } from "../../../config/global/global-config.ts";
import { nothingAsked, settingsOf, type NetworkSettings } from "../../../config/network/network-settings.ts";
import type { StoredNetwork } from "../../../config/network/network-of.ts";
import { hostnameFor } from "../../../config/sandbox/effective-config.ts";
import { checkSecretEnv, guestEnv } from "../../../config/sandbox/guest-env.ts";
import type { SandboxConfig } from "../../../config/sandbox/sandbox-config.ts";
import type { StoredConfig } from "../../../config/sandbox/stored-config.ts";
import type { AnySetting } from "../../../config/settings/setting.ts";
import { settersOf, settingEntries, type SettingKey } from "../../../config/settings/table.ts";
import { checkEnvSize } from "../../../config/env.ts";
import { InvalidConfigError, UnsupportedOperationError } from "../../../errors/index.ts";
import { portable, requireMemory, type MemoryPart } from "../../../store/snapshots/memory-part.ts";
import type { FoundSnapshot } from "../../../store/snapshots/snapshots.ts";
import { checkGivenSecrets, type SecretsInput } from "../../providers/given-secrets.ts";
import { runSecrets, type RunSecrets } from "../../providers/run-secrets.ts";

/** A snapshot with memory. */
export interface FullSnapshot extends FoundSnapshot {
  readonly descriptor: FoundSnapshot["descriptor"] & { readonly memory: MemoryPart };
  readonly guest: NonNullable<FoundSnapshot["guest"]>;
}

export function isFull(snapshot: FoundSnapshot | null): snapshot is FullSnapshot {
  return snapshot !== null && snapshot.guest !== null && snapshot.descriptor.memory !== null;
}

/**
 * What another sandbox may have otherwise although it goes on with the same memory: what the host does with it, and what its commands
 * are given.
 */
const changeable: ReadonlySet<SettingKey> = new Set([
  ...(["image", "fromSnapshot", "rootDisk", "pullPolicy", "network", "ports", "proxy"] as const),
  ...(["deploymentProfile", "disableNetwork"] as const),
  ...(["entrypoint", "cmd", "workdir", "shell", "user", "hostname", "env", "labels", "rlimits"] as const),
  ...(["stopSignal", "maxDurationSecs", "idleTimeoutSecs", "idlePauseSecs", "onHostShutdown"] as const),
  ...(["ephemeral", "logLevel", "quietLogs", "metricsSampleIntervalMs"] as const),
]);

/** These are the snapshot's, or are looked at by themselves. */
const apart: ReadonlySet<SettingKey> = new Set([
  "image",
  "rootDisk",
  "network",
  "disableNetwork",
  "deploymentProfile",
]);

/** What the guest knows of its network, or was given its authority for. */
const ofGuest = ["interface", "tls", "secrets", "secretViolation", "http", "trustHostCAs", "strict"] as const;

const diskOnlyHint =
  "Leave it out, or boot from the snapshot's disk alone: diskOnly() of Sandbox.restore(), msb restore --disk-only.";

export interface RestoreOf {
  readonly snapshot: FullSnapshot;
  /** As far as it was said. */
  readonly asked: SandboxConfig;
  readonly globals: GlobalConfig;
  readonly kernelPath: string | null;
  /** Whether it goes on with the memory; else it boots from the disk. */
  readonly continues: boolean;
}

/**
 * How a sandbox is that begins with a snapshot with memory: as the one that was captured, but for what was said.
 *
 * @throws UnsupportedOperationError for what cannot be another; InvalidConfigError
 */
export function restoredConfig({ snapshot, asked, globals, kernelPath, continues }: RestoreOf): StoredConfig {
  const { directory, descriptor } = snapshot;
  requireMemory(`nothing can go on from the snapshot ${directory}`, descriptor.memory.config);
  const then = portable(descriptor.memory.config);
  const said: Record<string, unknown> = {};
  for (const [key, setting] of settingEntries) {
    if (apart.has(key) || !setting.stored || !isSaid(key, setting, asked)) continue;
    if (continues && !changeable.has(key)) requireSame(key, setting, { then, asked, directory });
    const { type } = setting;
    said[key] =
      type.join === undefined || key === "ports"
        ? asked[key]
        : type.join(then[key as keyof StoredConfig], asked[key]);
  }
  const network = restoredNetwork(then.network, asked, { directory, continues });
  const isTenant = [globals.deployment_profile, then.deploymentProfile].includes("multi-tenant");
  const stored: StoredConfig = {
    ...then,
    ...said,
    image: { kind: "oci", reference: descriptor.image.ref },
    imageDigest: descriptor.image.manifest_digest,
    rootDisk: asked.rootDisk ?? then.rootDisk,
    hostname: asked.hostname ?? hostnameFor(asked.name),
    deploymentProfile: asked.deploymentProfile ?? (isTenant ? "multi-tenant" : "single-tenant"),
    disableNetwork: network === null,
    proxy: asked.proxy ?? (network === null ? null : then.proxy),
    ...{ network, kernelPath },
  };
  if (network === null && stored.ports.length > 0) {
    throw new InvalidConfigError("ports are published, and there is no network", {
      hint: "The sandbox that was captured had none, or it was disabled: leave the ports out.",
    });
  }
  checkSecretEnv(stored.env, network?.secrets ?? []);
  checkEnvSize(guestEnv(stored), stored.rlimits);
  return stored;
}

function isSaid(key: SettingKey, { initial }: AnySetting, asked: SandboxConfig): boolean {
  return JSON.stringify(asked[key]) !== JSON.stringify(initial);
}

interface Compared {
  readonly then: StoredConfig;
  readonly asked: SandboxConfig;
  readonly directory: string;
}

/** @throws UnsupportedOperationError */
function requireSame(key: SettingKey, setting: AnySetting, { then, asked, directory }: Compared): void {
  const was: unknown = then[key as keyof StoredConfig];
  if (JSON.stringify(was) === JSON.stringify(asked[key])) return;
  const setter = settersOf(key, setting)[0] ?? key;
  const [before, now] = [JSON.stringify(was), JSON.stringify(asked[key])];
  const values = setting.type.form.kind === "structure" ? "" : `: it was ${before}, and is to be ${now}`;
  throw refused(directory, `${setter} of its guest cannot be changed${values}`);
}

/** @throws UnsupportedOperationError */
function restoredNetwork(
  then: StoredNetwork | null,
  { network: asked, disableNetwork }: SandboxConfig,
  { directory, continues }: { readonly directory: string; readonly continues: boolean },
): StoredNetwork | null {
  if (disableNetwork) {
    if (continues && then !== null)
      throw refused(
        directory,
        "its guest has a network interface; a policy can deny all (NetworkPolicy.none())",
      );
    return null;
  }
  if (asked === null) return then;
  if (then === null) throw refused(directory, "its guest has no network interface");
  const nothing = settingsOf(nothingAsked);
  const changed = ofGuest.find((part) => JSON.stringify(asked[part]) !== JSON.stringify(nothing[part]));
  if (changed === "secrets") {
    throw new UnsupportedOperationError(
      `the snapshot ${directory} brings its secrets with it, and takes no others`,
      {
        hint: "Give the values of those that it has: Sandbox.restore(snapshot).secrets({ NAME: value }).",
      },
    );
  }
  if (changed !== undefined) {
    throw new UnsupportedOperationError(
      `the snapshot ${directory} brings its network with it, of which ${changed} cannot be changed`,
      { hint: "Leave it out: what can be changed is the policy, DNS, limits, ports and the proxy." },
    );
  }
  return changedNetwork(then, asked);
}

function changedNetwork(then: StoredNetwork, asked: NetworkSettings): StoredNetwork {
  const { policy, observe, dns, maxConnections, rateLimiter } = asked;
  const { nameservers = [], ...ofDns } = dns ?? {};
  const names = Object.fromEntries(Object.entries(ofDns).filter(([, value]) => value !== null));
  return {
    ...then,
    policy: policy ?? then.policy,
    observe: observe || (policy === null && then.observe),
    dns: { ...then.dns, ...names, ...(nameservers.length > 0 ? { nameservers } : {}) },
    maxConnections: maxConnections ?? then.maxConnections,
    rateLimiter: rateLimiter ?? then.rateLimiter,
  };
}

function refused(directory: string, why: string): UnsupportedOperationError {
  return new UnsupportedOperationError(`the memory of the snapshot ${directory} cannot be used so: ${why}`, {
    hint: diskOnlyHint,
  });
}

/**
 * The values of the secrets of a sandbox that begins with a snapshot with memory, which are stored with it: all are given, for the snapshot
 * may come from somebody who is not to have what is in the variables and files of this user.
 *
 * @throws InvalidConfigError for one that is missing, or none of the snapshot's
 */
export async function restoredSecrets(
  { network }: StoredConfig,
  given: SecretsInput | undefined,
): Promise<RunSecrets> {
  const secrets = network?.secrets ?? [];
  const values = checkGivenSecrets(secrets, given);
  const missing = secrets.find(({ envVar }) => !values.has(envVar));
  if (missing !== undefined) {
    const { envVar } = missing;
    throw new InvalidConfigError(
      `the secret ${envVar} of the snapshot has no value here: no snapshot has any`,
      {
        hint: `Give it: Sandbox.restore(snapshot).secrets({ ${envVar}: value }); msb restore takes it from the variable ${envVar}.`,
      },
    );
  }
  return await runSecrets(secrets, values, new Map(), new Map());
}
