import type { SnapshotConfig } from "../../config/snapshots/snapshot-config.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import type { CaptureSandbox } from "../../store/snapshots/create-full-snapshot.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import { Snapshot } from "./snapshot.ts";

/** @param sandboxId of the sandbox that is meant; null: whichever has the name. @throws as `createFullSnapshot` */
export async function makeFullSnapshot(
  config: SnapshotConfig,
  sandboxId: string | null,
  options: WaitOptions,
): Promise<Snapshot> {
  const { createFullSnapshot } = await import("../../store/snapshots/create-full-snapshot.ts");
  const home = locateHome();
  return await Operation.run(`create snapshot ${config.name}`, options, async (operation) => {
    await operation.wait(prepareHome(home));
    const capture: CaptureSandbox = async ({ record }, directory) => {
      const control = new SandboxControl(home, record, null, false);
      const flush = config.guestFlush === "required";
      await control.capture(operation, { directory, flush, purpose: "snapshot", names: [config.name] });
    };
    return new Snapshot(await createFullSnapshot(home, config, sandboxId, operation.signal, capture));
  });
}
