import { join } from "node:path";
import { IoError, MicrosandboxError } from "../../errors/index.ts";
import type { Home } from "../home.ts";
import { readDescriptor, type SnapshotDescriptor } from "./descriptor.ts";
import { snapshotNames } from "./snapshots.ts";

/**
 * The snapshots of a home, for whoever removes what none of them needs: one that cannot be read is none that needs nothing.
 *
 * @param things what is looked for in them, such as "image"
 * @throws IoError when one of them cannot be read
 */
export async function* everySnapshot(
  home: Home,
  things: string,
): AsyncGenerator<{ readonly name: string; readonly image: SnapshotDescriptor["image"] }> {
  for (const name of await snapshotNames(home.snapshots)) {
    try {
      const read = await readDescriptor(join(home.snapshots, name));
      if (read !== null) yield { name, image: read.descriptor.image };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new IoError(`cannot tell which ${things} the snapshot ${name} needs: ${why}`, {
        cause: error,
        hint: error instanceof MicrosandboxError ? error.hint : "Restore it, or remove it.",
      });
    }
  }
}
