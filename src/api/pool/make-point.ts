import { mkdir } from "node:fs/promises";
import { InvalidConfigError } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import { ioError } from "../../host/system-error.ts";
import { requireNoProviders } from "../../config/mounts/provider-mounts.ts";
import type { BesideConfig } from "../../config/sandbox/beside-config.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import { requireNoHooks } from "../providers/run-hooks.ts";
import { secretsOfCopy } from "../fork/fork-secrets.ts";
import { carryOut, prepareCreation, type Creation } from "../sandbox/create.ts";
import type { CreateObserver } from "../sandbox/progress.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { findSandbox } from "../../store/sandboxes.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import { checkPoolConfig, type PoolWarm } from "./pool-options.ts";

/** The sandbox that all of a pool's are copies of, before it is made. */
export interface PointPlan {
  /** Its own. */
  readonly creation: Creation;
  /** Of those that are copies of it, as far as it is known without its image. */
  readonly asked: StoredConfig;
}

/**
 * Finds out everything that can be wrong before anything is made.
 *
 * @throws InvalidConfigError, UnsupportedOperationError for what cannot be copied; as {@link prepareCreation}
 */
export async function planPoint(
  pool: string,
  config: SandboxConfig,
  beside: BesideConfig,
  maxMemoryMib: number | null,
): Promise<PointPlan> {
  const what = `the pool ${pool}`;
  requireNoProviders(config.mounts, what);
  requireNoHooks(beside.hooks, what);
  checkPoolConfig(pool, { image: config.image, mounts: config.mounts, memoryMib: 0 }, null);
  const creation = await prepareCreation(config, beside);
  const { stored } = creation;
  checkPoolConfig(pool, stored, maxMemoryMib);
  const secrets = await secretsOfCopy(what, stored, undefined, beside.secrets, creation.secrets.stored);
  // It is nobody's, has no port that others are to have, and ends when it was copied.
  const own = {
    ...{ ports: [], ephemeral: true, maxDurationSecs: null, idleTimeoutSecs: null, idlePauseSecs: null },
    onHostShutdown: "stop",
  } as const;
  return {
    creation: { ...creation, stored: { ...stored, ...own }, secrets },
    asked: { ...stored, hostname: "", snapshotDigest: creation.origin?.digest ?? null },
  };
}

/**
 * Starts the sandbox, has it warmed, and copies it to a directory, which is made. It is gone then.
 *
 * @param keep is given the configuration of those that go on from there, and writes it down: the image is needed from then on
 * @throws what creating it throws; what `warm` throws; InvalidConfigError when the script fails; RuntimeError, IoError
 */
export async function makePoint(
  { creation, asked }: PointPlan,
  warm: PoolWarm | null,
  directory: string,
  keep: (config: StoredConfig) => Promise<void>,
  operation: Operation,
  observer: CreateObserver,
): Promise<void> {
  // The program that makes the pool is told of its sandboxes, not of this one.
  const { onPullProgress, onNotice } = observer;
  const { home, config } = creation;
  await using sandbox = await carryOut(creation, true, operation, { onPullProgress, onNotice });
  try {
    operation.log("warming");
    if (warm !== null) await operation.wait(warmUp(sandbox, warm));
    const { record } = await findSandbox(home, config.name);
    await makeDirectory(directory);
    const control = new SandboxControl(home, record, null, false);
    await control.capture(operation, { directory, flush: false, purpose: "pool", names: [] });
    const { ports, maxDurationSecs, idleTimeoutSecs, idlePauseSecs, onHostShutdown } = asked;
    const limits = { ports, maxDurationSecs, idleTimeoutSecs, idlePauseSecs, onHostShutdown };
    // What was patched is on its disk.
    await keep({ ...record.config, ...limits, ephemeral: false, patches: [] });
  } finally {
    // It removes itself.
    await sandbox.kill().catch(() => undefined);
  }
}

async function warmUp(sandbox: Sandbox, warm: PoolWarm): Promise<void> {
  if (typeof warm === "function") {
    await warm(sandbox);
    return;
  }
  const { code, success, stderr } = await outputOf(sandbox, warm);
  if (success) return;
  const said = stderr === "" ? "" : `:\n${stderr}`;
  throw new InvalidConfigError(`the script that warms the pool ended with ${code}${said}`, {
    hint: "Correct it: no pool was made.",
  });
}

async function outputOf(
  sandbox: Sandbox,
  script: string,
): Promise<{ code: number; success: boolean; stderr: string }> {
  const output = await sandbox.shell(script);
  const { code, success } = output;
  return { code, success, stderr: output.stderr().trimEnd().split("\n").slice(-5).join("\n") };
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    throw ioError(`make ${path}`, error);
  }
}
