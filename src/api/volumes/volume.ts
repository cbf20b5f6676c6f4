import type { FoundVolume } from "../../store/volumes/volumes.ts";
import { VolumeFs } from "./volume-fs.ts";

/** A volume that was made: a name, and where it is. */
export class Volume {
  readonly name: string;
  /** Its directory on the host: absolute. What is in it is what guests see of a volume that is a directory. */
  readonly path: string;

  /** @internal */
  constructor({ record, paths }: FoundVolume) {
    this.name = record.name;
    this.path = paths.directory;
  }

  /** Its files, from the host. */
  fs(): VolumeFs {
    return new VolumeFs(this.path);
  }
}
