import { everyRecord } from "../every-record.ts";
import type { Home } from "../home.ts";

/**
 * The names of the volumes that some sandbox has, running or not.
 *
 * @throws IoError when it cannot be told for one of them
 */
export async function volumesInUse(home: Home): Promise<ReadonlySet<string>> {
  const used = new Set<string>();
  for await (const { config } of everyRecord(home, "volumes")) {
    for (const mount of config.mounts) if (mount.kind === "named") used.add(mount.name);
  }
  return used;
}
