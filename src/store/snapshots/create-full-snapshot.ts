import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { destinationOf, type SnapshotConfig } from "../../config/snapshots/snapshot-config.ts";
import { RuntimeError, SandboxNotRunningError } from "../../errors/index.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { sparseDigest, sparseDigestAlgorithm } from "../../host/files/sparse-digest.ts";
import { randomHex } from "../../host/system/entropy.ts";
import { diskSizeOf } from "../blank-disk.ts";
import type { Home } from "../home.ts";
import { findSandbox, pathsIn, replaced, type FoundSandbox } from "../sandboxes.ts";
import { pathsOfCapture, readCapture } from "../suspension.ts";
import { descriptorName, descriptorText, newDescriptor, type SnapshotDescriptor } from "./descriptor.ts";
import { devicesName, memoryName, portable, requireMemory } from "./memory-part.ts";
import { findSnapshot, type FoundSnapshot } from "./snapshots.ts";
import { refuseTaken, stageSnapshot, sweepSnapshots } from "./staging.ts";

/** What a snapshot that is made here calls its disk. */
const upperName = "upper.ext4";
const bytesPerMib = 1024 * 1024;

/** Has a sandbox that is up copied into a directory: memory, devices and disk. @throws SandboxNotRunningError and the like */
export type CaptureSandbox = (sandbox: FoundSandbox, directory: string) => Promise<void>;

/**
 * Captures a sandbox that runs or is paused, with its memory. It goes on as it was.
 *
 * @param expectedId of the sandbox that is meant; null: whichever has the name
 * @throws SandboxNotFoundError, SandboxReplacedError, SandboxNotRunningError, SnapshotAlreadyExistsError; UnsupportedOperationError for a
 *   sandbox that has what cannot be captured; IoError; what `capture` throws; the signal's reason. Nothing is left then
 */
export async function createFullSnapshot(
  home: Home,
  config: SnapshotConfig,
  expectedId: string | null,
  signal: AbortSignal,
  capture: CaptureSandbox,
): Promise<FoundSnapshot> {
  const directory = destinationOf(config, home.snapshots);
  await refuseTaken(directory, config.force);
  requireFit(await findMeant(home, config.fromSandbox, expectedId));
  await stageSnapshot(directory, config.force, async (staging) => {
    // What was killed while it waited for a copy may have it written for a while still: into another directory.
    const taken = join(staging, `capture-${randomHex(8)}`);
    await mkdir(taken, { mode: 0o700 });
    await capture(await findMeant(home, config.fromSandbox, expectedId), taken);
    signal.throwIfAborted();
    // It may have been modified meanwhile.
    const sandbox = await findMeant(home, config.fromSandbox, expectedId);
    requireFit(sandbox);
    await describe(sandbox, config, { taken, staging }, signal);
    await rm(taken, { recursive: true });
  });
  await sweepSnapshots(home.snapshots);
  return await findSnapshot(home, directory);
}

/** @throws SandboxNotFoundError, SandboxReplacedError, SandboxNotRunningError */
async function findMeant(home: Home, name: string, expectedId: string | null): Promise<FoundSandbox> {
  const sandbox = await findSandbox(home, name);
  if (expectedId !== null && sandbox.record.id !== expectedId) throw replaced(name);
  const { status } = sandbox;
  if (status === "running" || status === "paused" || status === "draining") return sandbox;
  throw new SandboxNotRunningError(`sandbox ${name} is ${status}: there is no memory to be captured`, {
    hint: `Start it first ("msb start ${name}"), or take a snapshot of its disk (without full()).`,
  });
}

/** @throws UnsupportedOperationError */
function requireFit({ record: { name, config } }: FoundSandbox): void {
  requireMemory(`there are no snapshots with the memory of the sandbox ${name}`, config);
}

/** Puts the files in their places, and beside them what is to be known of them. */
async function describe(
  { record: { name, config: stored } }: FoundSandbox,
  { recordIntegrity, labels, group }: SnapshotConfig,
  { taken, staging }: { readonly taken: string; readonly staging: string },
  signal: AbortSignal,
): Promise<void> {
  const files = pathsOfCapture(taken);
  const guest = await readCapture(files);
  if (guest === null) throw new RuntimeError(`the sandbox ${name} was not copied`);
  const take = async (from: string, as: string): Promise<FileDescription> => {
    const to = join(staging, as);
    await rename(from, to);
    const integrity = recordIntegrity
      ? { algorithm: sparseDigestAlgorithm, digest: await sparseDigest(to, signal) }
      : null;
    return { size_bytes: (await diskSizeOf(to)) ?? 0, integrity };
  };
  const upper = await take(pathsIn(taken).upper, upperName);
  const memory = await take(files.memory, memoryName);
  const devices = await take(files.state, devicesName);
  if (memory.size_bytes !== stored.memoryMib * bytesPerMib) {
    throw new RuntimeError(
      `the sandbox ${name} runs with another memory than it is to have from its next start on`,
      {
        hint: `Restart it first ("msb restart ${name}").`,
      },
    );
  }
  const config = portable(stored);
  const { image, imageDigest, snapshotDigest } = stored;
  const descriptor = newDescriptor(
    {
      id: randomHex(8),
      state: { kind: "file", format: "raw", fstype: "ext4", upper: { file: upperName, ...upper } },
      image: { ref: image.kind === "oci" ? image.reference : "", manifest_digest: imageDigest },
      parent: snapshotDigest,
      created_at: new Date().toISOString(),
      labels: { ...labels },
      ...{ source_sandbox: name, group },
    },
    { memory, devices, guest, config },
  );
  await writeFileAtomically(join(staging, descriptorName), descriptorText(descriptor));
  signal.throwIfAborted();
}

type FileDescription = Omit<SnapshotDescriptor["state"]["upper"], "file">;
