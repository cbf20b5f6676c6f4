import { locateHome } from "../../store/home.ts";
import { listVolumes } from "../../store/volumes/volumes.ts";

/** The names of all volumes, in order. How much they hold is not measured, which takes as long as they are large. */
export async function volumeNames(): Promise<string[]> {
  return (await listVolumes(locateHome())).map(({ record }) => record.name);
}
