import { checkMebibytes, checkObject, checkWhole } from "../../config/checks.ts";
import { checkContent } from "../../config/guest-text.ts";
import type { BesideConfig } from "../../config/sandbox/beside-config.ts";
import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import { checkPoolName } from "../../config/sandbox-name.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import type { OtherOptions } from "../../host/call-options.ts";
import { randomHex } from "../../host/system/entropy.ts";
import type { SecretsInput } from "../providers/given-secrets.ts";
import { SandboxBuilder } from "../config/sandbox-builder.ts";
import type { CreateObserver } from "../sandbox/progress.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

/** What is done once, in the sandbox that all of a pool's sandboxes are copies of: a script for its shell, or a function. */
export type PoolWarm = string | ((sandbox: Sandbox) => Promise<unknown>);

export type PoolConfigInput = Omit<SandboxConfigInput, "name" | "replace" | "detached" | "ephemeral">;

/** A pool of sandboxes that are started ahead. */
export interface PoolOptions extends CreateObserver {
  /** By which other programs find it. One without is removed when this program ends. */
  readonly name?: string | undefined;
  /**
   * Of each of its sandboxes, as `Sandbox.create()` takes it, without what each is given when it is taken; or a builder, whose name is that of
   * the sandbox which is warmed.
   */
  readonly config: PoolConfigInput | SandboxBuilder;
  /** So many are kept ready, 1 to 1000. */
  readonly size: number;
  /** What they have done before any of them is taken. */
  readonly warm?: PoolWarm | undefined;
  /** What those that are ready may have as memory, all together, MiB: no more are kept ready than have room in it. */
  readonly maxMemory?: number | undefined;
}

/** What a sandbox that is taken from a pool is, besides what the pool says. */
export interface TakeOptions extends CreateObserver {
  /** That of the pool with something of its own after it, when it is not given. */
  readonly name?: string | undefined;
  /** In addition to that of the pool. */
  readonly env?: SandboxConfigInput["env"];
  /** In addition to those of the pool. */
  readonly labels?: SandboxConfigInput["labels"];
  /** In the place of the pool's. */
  readonly maxDurationSecs?: SandboxConfigInput["maxDurationSecs"];
  /** In the place of the pool's. */
  readonly idleTimeoutSecs?: SandboxConfigInput["idleTimeoutSecs"];
  /** In the place of the pool's. */
  readonly idlePauseSecs?: SandboxConfigInput["idlePauseSecs"];
  /** In the place of the pool's. */
  readonly ports?: SandboxConfigInput["ports"];
  /** Values of the pool's secrets, by their variables in the guest, in the place of those that it was made with. */
  readonly secrets?: SecretsInput | undefined;
  /** Whether it is removed when it ends. */
  readonly ephemeral?: boolean | undefined;
  /** Whether it goes on after this process. */
  readonly detached?: boolean | undefined;
}

const callbacks = {
  onProgress: "function",
  onNotice: "function",
  onStarted: "function",
  onPullProgress: "function",
} as const;

export const poolOptions = {
  ...callbacks,
  ...{ name: "any", config: "any", size: "any", warm: "any", maxMemory: "any" },
} as const satisfies OtherOptions;

/** Those that a sandbox's configuration has too. */
export const takenSettings = [
  ...["env", "labels", "maxDurationSecs", "idleTimeoutSecs", "idlePauseSecs", "ports"],
] as readonly ("env" | "labels" | "maxDurationSecs" | "idleTimeoutSecs" | "idlePauseSecs" | "ports")[];

export const takeOptions = {
  ...callbacks,
  ...{ name: "any", secrets: "any", ephemeral: "boolean", detached: "boolean" },
  ...{ env: "any", labels: "any", ports: "any" },
  ...{ maxDurationSecs: "any", idleTimeoutSecs: "any", idlePauseSecs: "any" },
} as const satisfies OtherOptions;

const mostMembers = 1000;
const longestName = 128;

/** What was asked for of a pool, found valid as far as that needs nothing but it. */
export interface CheckedPool {
  readonly name: string;
  readonly isOwned: boolean;
  readonly config: SandboxConfig;
  readonly beside: BesideConfig;
  readonly size: number;
  readonly warm: PoolWarm | null;
  readonly maxMemoryMib: number | null;
}

/** @throws InvalidConfigError */
export function checkPool({ name, config, size, warm, maxMemory }: PoolOptions): CheckedPool {
  if (name !== undefined) checkPoolName(name);
  checkObject("the configuration of the pool", config);
  const poolName = name ?? `pool-${randomHex(6)}`;
  if (Object.hasOwn(config, "name") && !(config instanceof SandboxBuilder)) throw ofTaken("name");
  const given: unknown = warm;
  if (given !== undefined && typeof given !== "string" && typeof given !== "function") {
    throw new InvalidConfigError("warm is neither a script nor a function", {
      hint: 'Write a script for the shell: "npm ci", or a function that is given the sandbox.',
    });
  }
  if (typeof warm === "string") checkContent("the script that warms the pool", warm);
  return {
    name: poolName,
    isOwned: name === undefined,
    ...checkedConfig(poolName, config),
    size: checkWhole("the size of the pool", size, 1, mostMembers),
    warm: warm ?? null,
    maxMemoryMib: maxMemory === undefined ? null : checkMebibytes("maxMemory", maxMemory),
  };
}

/** @throws InvalidConfigError */
function checkedConfig(
  pool: string,
  given: PoolOptions["config"],
): { readonly config: SandboxConfig; readonly beside: BesideConfig } {
  if (given instanceof SandboxBuilder) return ofCopies(given.build(), given.beside);
  const draft = draftFromConfig({ ...given, name: memberName(pool) });
  return ofCopies(draft.finish(), draft.beside);
}

/** @throws InvalidConfigError */
function ofCopies(
  config: SandboxConfig,
  beside: BesideConfig,
): { readonly config: SandboxConfig; readonly beside: BesideConfig } {
  for (const key of ["replace", "detached", "ephemeral"] as const) if (config[key]) throw ofTaken(key);
  return { config, beside };
}

function ofTaken(key: string): InvalidConfigError {
  return new InvalidConfigError(`the configuration of a pool has no ${key}`, {
    hint: "That is said when a sandbox is taken: pool.take({ name, ephemeral, detached }).",
  });
}

/** @throws InvalidConfigError for a limit that no member has room in; UnsupportedOperationError for what cannot be copied */
export function checkPoolConfig(
  name: string,
  { image, mounts, memoryMib }: Pick<StoredConfig, "image" | "mounts" | "memoryMib">,
  maxMemoryMib: number | null,
): void {
  if (maxMemoryMib !== null && maxMemoryMib < memoryMib) {
    throw new InvalidConfigError(
      `maxMemory is ${maxMemoryMib} MiB, and each sandbox of the pool has ${memoryMib}`,
      {
        hint: "Give more, or give the sandboxes less memory.",
      },
    );
  }
  const mount = mounts.find(({ kind }) => kind !== "tmpfs");
  const what =
    image.kind === "oci"
      ? mount === undefined
        ? null
        : `${mount.kind === "disk" ? "a disk image" : "files of the host"} would be mounted at ${mount.guest}`
      : "its root would not be an image";
  if (what === null) return;
  throw new UnsupportedOperationError(`the sandboxes of the pool ${name} cannot be copies of one: ${what}`, {
    hint: "Copy the files in with warm, or make an image that has them.",
  });
}

/** For a sandbox that is taken and was given no name, or for the one that the others are copies of. */
export function memberName(pool: string): string {
  const end = `-${randomHex(4)}`;
  return `${pool.slice(0, longestName - end.length)}${end}`;
}
