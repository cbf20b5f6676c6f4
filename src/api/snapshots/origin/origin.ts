import type { SandboxConfig } from "../../../config/sandbox/sandbox-config.ts";
import type { Home } from "../../../store/home.ts";
import type { SandboxPaths } from "../../../store/sandboxes.ts";
import type { FoundSnapshot } from "../../../store/snapshots/snapshots.ts";
import type { FullSnapshot } from "./restored-config.ts";

const bytesPerMib = 1024 * 1024;

/** The snapshot that a sandbox is to begin with; null for none. @throws SnapshotNotFoundError and the like */
export async function findOrigin(home: Home, { fromSnapshot }: SandboxConfig): Promise<FoundSnapshot | null> {
  if (fromSnapshot === null) return null;
  // Most sandboxes begin with an image.
  return await (await import("../../../store/snapshots/snapshots.ts")).findSnapshot(home, fromSnapshot);
}

/** Gives a sandbox that is made a copy of the snapshot's disk. @throws as `copyUpper` */
export async function copyOrigin(
  origin: FoundSnapshot | null,
  upper: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (origin === null) return;
  await (await import("../../../store/snapshots/snapshots.ts")).copyUpper(origin, upper, signal);
}

/** Has a sandbox that is made go on with the snapshot's memory. @throws as `whileThere`, IoError */
export async function beginWithMemory(
  origin: FullSnapshot,
  staging: SandboxPaths,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [{ whileThere }, { beginWith }] = await Promise.all([
    import("../../../store/snapshots/snapshots.ts"),
    import("../../../store/captures/begin-from.ts"),
  ]);
  const { guest, upper, descriptor } = origin;
  const known = descriptor.memory.guest;
  // Whatever it says, it is another sandbox's guest: it is given a seed and a name of its own.
  const record = { ...known, source: known.source ?? descriptor.source_sandbox ?? "another sandbox" };
  const files = { memory: guest.memory, state: guest.devices, upper, record };
  await whileThere(origin, () => beginWith(files, staging, { notify: null, signal }));
}

/** The configuration with what the snapshot says: its image, and a root disk as large as its disk. */
export function withOrigin(config: SandboxConfig, { descriptor }: FoundSnapshot): SandboxConfig {
  const sizeMib = Math.ceil(descriptor.state.upper.size_bytes / bytesPerMib);
  return {
    ...config,
    image: { kind: "oci", reference: descriptor.image.ref },
    rootDisk: { kind: "managed", sizeMib },
  };
}
