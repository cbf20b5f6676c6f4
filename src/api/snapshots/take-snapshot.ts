import type { WaitOptions } from "../../host/operation.ts";
import { makeSnapshot } from "./make-snapshot.ts";
import { SnapshotBuilder } from "./snapshot-builder.ts";
import type { Snapshot } from "./snapshot.ts";

/** Captures the disk of a sandbox that somebody has a handle of: of that one, not of another one by its name. */
export async function takeSnapshot(
  { name, id }: { readonly name: string; readonly id: string },
  place: (builder: SnapshotBuilder) => SnapshotBuilder,
  options: WaitOptions,
): Promise<Snapshot> {
  const config = place(new SnapshotBuilder(name)).build();
  return await makeSnapshot(config, id, options);
}
