import { SnapshotIntegrityError, UnsupportedOperationError } from "../../errors/index.ts";
import { sparseDigest, sparseDigestAlgorithm } from "../../host/files/sparse-digest.ts";
import type { FoundSnapshot } from "./snapshots.ts";

/** What was recorded of a file. */
export interface UpperIntegrity {
  readonly algorithm: string;
  readonly digest: string;
}

/**
 * Reads a snapshot's disk, and its memory if it has one, and compares them with what was recorded when it was made.
 *
 * @returns of its disk; null when nothing was recorded
 * @throws SnapshotIntegrityError when it is another; UnsupportedOperationError for an algorithm of another version; IoError
 */
export async function verifySnapshot(
  { descriptor, upper, guest, directory }: FoundSnapshot,
  signal: AbortSignal,
): Promise<UpperIntegrity | null> {
  const { memory, state } = descriptor;
  const check = async (what: string, path: string, integrity: UpperIntegrity | null): Promise<void> => {
    if (integrity !== null) await verifyFile(`the ${what} of ${directory}`, path, integrity, signal);
  };
  // The smallest first.
  if (memory !== null && guest !== null) {
    await check("state of devices", guest.devices, memory.devices.integrity);
    await check("memory", guest.memory, memory.memory.integrity);
  }
  await check("disk", upper, state.upper.integrity);
  return state.upper.integrity;
}

/** @param what it is, for errors. @throws as {@link verifySnapshot} */
export async function verifyFile(
  what: string,
  path: string,
  { algorithm, digest }: UpperIntegrity,
  signal: AbortSignal,
): Promise<void> {
  if (algorithm !== sparseDigestAlgorithm) {
    throw new UnsupportedOperationError(
      `${what} was hashed with ${JSON.stringify(algorithm)}, which this version does not know`,
      { hint: "Another version made it: use that one." },
    );
  }
  const found = await sparseDigest(path, signal);
  if (found === digest) return;
  throw new SnapshotIntegrityError(`${what} has the digest ${found} instead of ${digest}`, {
    hint: "It was changed or damaged: copy it again from where it came, or remove it.",
  });
}
