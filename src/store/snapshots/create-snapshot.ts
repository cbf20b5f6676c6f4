import { join } from "node:path";
import { destinationOf, type SnapshotConfig } from "../../config/snapshots/snapshot-config.ts";
import {
  InvalidConfigError,
  SandboxStillRunningError,
  SnapshotSandboxRunningError,
  UnsupportedOperationError,
} from "../../errors/index.ts";
import { diskSizeOf } from "../blank-disk.ts";
import { copySparse } from "../../host/files/copy-sparse.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { randomHex } from "../../host/system/entropy.ts";
import type { Home } from "../home.ts";
import { findSandbox, lockStoppedSandbox, replaced, type FoundSandbox } from "../sandboxes.ts";
import { isTerminal } from "../../config/enums.ts";
import { descriptorName, descriptorText, newDescriptor, type SnapshotDescriptor } from "./descriptor.ts";
import type { HoldDisk } from "./held-disk.ts";
import { refuseTaken, stageSnapshot, sweepSnapshots } from "./staging.ts";
import { findSnapshot, type FoundSnapshot } from "./snapshots.ts";

/** What a snapshot that is made here calls its disk. */
const upperName = "upper.ext4";

/**
 * Captures the disk of a sandbox. One that does not run is untouched, and cannot start meanwhile; of one that is up the disk is held.
 *
 * @param expectedId of the sandbox that is meant; null: whichever has the name
 * @param hold has nothing written to the disk of a sandbox that is up; not there: those are refused
 * @throws SandboxNotFoundError, SandboxReplacedError, SnapshotSandboxRunningError, SnapshotAlreadyExistsError; InvalidConfigError for a sandbox whose disk cannot be captured; UnsupportedOperationError when nothing can be flushed as
 *   `required`; IoError; what `hold` throws; the signal's reason. Nothing is left then
 */
export async function createSnapshot(
  home: Home,
  config: SnapshotConfig,
  expectedId: string | null,
  signal: AbortSignal,
  hold?: HoldDisk,
): Promise<FoundSnapshot> {
  const { fromSandbox: name, force } = config;
  const directory = destinationOf(config, home.snapshots);
  await refuseTaken(directory, force);
  const sandbox = await findSandbox(home, name);
  requireDisk(sandbox);
  if (hold !== undefined && (sandbox.status === "running" || sandbox.status === "paused")) {
    if (expectedId !== null && sandbox.record.id !== expectedId) throw replaced(name);
    await stageSnapshot(directory, force, async (staging) => {
      await captureHeld(sandbox, config, staging, signal, hold);
    });
  } else {
    refuseRunning(sandbox);
    await using _lock = await lockStoppedSandbox(home, name, expectedId, "take a snapshot of").catch(
      (error: unknown) => {
        throw error instanceof SandboxStillRunningError ? isRunning(name, "running") : error;
      },
    );
    // Again: it may have been another one a moment ago.
    const stopped = await findSandbox(home, name);
    refuseRunning(stopped);
    requireDisk(stopped);
    refuseFlush(stopped, config);
    const sizeBytes = await sizeOf(stopped);
    await stageSnapshot(directory, force, async (staging) => {
      await copySparse(stopped.paths.upper, join(staging, upperName), signal);
      await describe(stopped, config, staging, sizeBytes, signal);
    });
  }
  await sweepSnapshots(home.snapshots);
  return await findSnapshot(home, directory);
}

async function captureHeld(
  sandbox: FoundSandbox,
  config: SnapshotConfig,
  staging: string,
  signal: AbortSignal,
  hold: HoldDisk,
): Promise<void> {
  let sizeBytes: number;
  {
    using held = await hold(sandbox, config.guestFlush, signal);
    sizeBytes = await sizeOf(sandbox);
    await copySparse(sandbox.paths.upper, join(staging, upperName), AbortSignal.any([signal, held.signal]));
    // Only now it is known whether it is of one moment.
    await held.release();
  }
  await describe(sandbox, config, staging, sizeBytes, signal);
}

/** Puts beside the disk what is to be known of it. */
async function describe(
  sandbox: FoundSandbox,
  config: SnapshotConfig,
  staging: string,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const upper = join(staging, upperName);
  const integrity = config.recordIntegrity ? await digestOf(upper, signal) : null;
  const descriptor = descriptorOf(sandbox, config, { file: upperName, size_bytes: sizeBytes, integrity });
  await writeFileAtomically(join(staging, descriptorName), descriptorText(descriptor));
  signal.throwIfAborted();
}

/** @throws InvalidConfigError */
async function sizeOf({ record, paths }: FoundSandbox): Promise<number> {
  const sizeBytes = await diskSizeOf(paths.upper);
  if (sizeBytes !== null) return sizeBytes;
  throw new InvalidConfigError(
    `the sandbox ${record.name} has no disk yet: it was never started to the end`,
    {
      hint: `Start it once ("msb start ${record.name}"), and stop it.`,
    },
  );
}

/** @throws SnapshotSandboxRunningError */
function refuseRunning({ record, status }: FoundSandbox): void {
  if (!isTerminal(status)) throw isRunning(record.name, status);
}

function isRunning(name: string, status: string): SnapshotSandboxRunningError {
  const passes = status === "starting" || status === "draining";
  return new SnapshotSandboxRunningError(`cannot take a snapshot of the sandbox ${name}: it is ${status}`, {
    hint: passes ? "Try again in a moment." : `Try again, or stop it first ("msb stop ${name}").`,
  });
}

/** @throws UnsupportedOperationError */
function refuseFlush({ record: { name }, status }: FoundSandbox, { guestFlush }: SnapshotConfig): void {
  if (guestFlush !== "required") return;
  throw new UnsupportedOperationError(
    `the sandbox ${name} is ${status}: nothing runs that could flush its disk`,
    {
      hint: `Start it first ("msb start ${name}"), or take its disk as it is (guestFlush "auto").`,
    },
  );
}

/** @throws InvalidConfigError when the guest's writes went elsewhere than to a disk of the sandbox's own */
function requireDisk({ record }: FoundSandbox): void {
  const { image, rootDisk } = record.config;
  if (image.kind === "oci" && rootDisk.kind === "managed") return;
  const root = image.kind === "oci" ? `a root disk of the kind ${rootDisk.kind}` : `a ${image.kind} root`;
  throw new InvalidConfigError(`the sandbox ${record.name} has ${root}, of which there are no snapshots`, {
    hint: "A snapshot is of a sandbox that was made from an image and writes to a disk of its own.",
  });
}

async function digestOf(path: string, signal: AbortSignal): Promise<{ algorithm: string; digest: string }> {
  // Only now: to load node:crypto takes a while.
  const { sparseDigest, sparseDigestAlgorithm } = await import("../../host/files/sparse-digest.ts");
  return { algorithm: sparseDigestAlgorithm, digest: await sparseDigest(path, signal) };
}

function descriptorOf(
  { record }: FoundSandbox,
  { labels, group }: SnapshotConfig,
  upper: SnapshotDescriptor["state"]["upper"],
): SnapshotDescriptor {
  const { image, imageDigest, snapshotDigest } = record.config;
  return newDescriptor({
    id: randomHex(8),
    state: { kind: "file", format: "raw", fstype: "ext4", upper },
    image: { ref: image.kind === "oci" ? image.reference : "", manifest_digest: imageDigest },
    parent: snapshotDigest,
    created_at: new Date().toISOString(),
    labels: { ...labels },
    source_sandbox: record.name,
    group,
  });
}
