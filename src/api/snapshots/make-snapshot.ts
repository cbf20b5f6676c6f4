import type { SnapshotConfig } from "../../config/snapshots/snapshot-config.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import type { HoldDisk } from "../../store/snapshots/held-disk.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import { holdDisk } from "./hold-disk.ts";
import { makeFullSnapshot } from "./make-full-snapshot.ts";
import { Snapshot } from "./snapshot.ts";

/** @param sandboxId of the sandbox that is meant; null: whichever has the name. @throws as `createSnapshot` */
export async function makeSnapshot(
  config: SnapshotConfig,
  sandboxId: string | null,
  options: WaitOptions,
): Promise<Snapshot> {
  if (config.resumable) return await makeFullSnapshot(config, sandboxId, options);
  const { createSnapshot } = await import("../../store/snapshots/create-snapshot.ts");
  const home = locateHome();
  return await Operation.run(`create snapshot ${config.name}`, options, async (operation) => {
    await operation.wait(prepareHome(home));
    // The connection is closed when the disk is held no more.
    const hold: HoldDisk = async ({ record }, flush, signal) => {
      const borrowed = await new SandboxControl(home, record, null, false).borrow(operation);
      try {
        const held = await holdDisk(borrowed.connection, flush, signal);
        const letGo = (): void => {
          held[Symbol.dispose]();
          borrowed[Symbol.dispose]();
        };
        return { signal: held.signal, release: () => held.release(), [Symbol.dispose]: letGo };
      } catch (error) {
        borrowed[Symbol.dispose]();
        throw error;
      }
    };
    return new Snapshot(await createSnapshot(home, config, sandboxId, operation.signal, hold));
  });
}
