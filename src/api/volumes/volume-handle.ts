import type { VolumeKind } from "../../config/volumes/volume-config.ts";
import { VolumeNotFoundError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import { removeVolume } from "../../store/volumes/volume-removal.ts";
import type { FoundVolume } from "../../store/volumes/volumes.ts";
import { VolumeFs } from "./volume-fs.ts";

/** What is known about a volume, as it was when the handle was made. */
export class VolumeHandle {
  readonly name: string;
  /** Its directory on the host: absolute. */
  readonly path: string;
  readonly kind: VolumeKind;
  /** How much guests may add to a directory, in MiB; null without a limit. */
  readonly quotaMib: number | null;
  /** Bytes that it takes on the host's disk. */
  readonly usedBytes: number;
  /** Of a disk: what it can hold; null for a directory. */
  readonly capacityBytes: number | null;
  /** Of a disk: `raw`; null for a directory. */
  readonly diskFormat: "raw" | null;
  /** Of a disk: `ext4`; null for a directory. */
  readonly diskFstype: "ext4" | null;
  readonly labels: readonly (readonly [key: string, value: string])[];
  readonly createdAt: Date | null;
  /** Only other backends have a volume that is used when none is named. */
  readonly isDefault: boolean = false;

  readonly #id: string;

  /** @internal */
  constructor({ record, paths }: FoundVolume, usedBytes: number) {
    const { capacityMib } = record;
    this.#id = record.id;
    this.name = record.name;
    this.path = paths.directory;
    this.kind = record.kind;
    this.quotaMib = record.quotaMib;
    this.usedBytes = usedBytes;
    this.capacityBytes = capacityMib === null ? null : capacityMib * 1024 * 1024;
    this.diskFormat = record.kind === "disk" ? "raw" : null;
    this.diskFstype = record.kind === "disk" ? "ext4" : null;
    this.labels = Object.entries(record.labels);
    const created = new Date(record.createdAt);
    this.createdAt = Number.isNaN(created.getTime()) ? null : created;
  }

  /** Its files, from the host. */
  fs(): VolumeFs {
    return new VolumeFs(this.path);
  }

  /** Removes the volume with its data. @throws VolumeNotFoundError, also when another one has its name by now; InvalidConfigError when a sandbox that runs uses it; IoError */
  async remove(options: WaitOptions = {}): Promise<void> {
    await removeNamed(this.name, options, this.#id);
  }
}

/** @param id of the one that is meant; by default whichever has the name */
export async function removeNamed(name: string, options: WaitOptions, id?: string): Promise<void> {
  const isMeant = ({ record }: FoundVolume): Promise<boolean> => {
    if (id === undefined || record.id === id) return Promise.resolve(true);
    throw new VolumeNotFoundError(`the volume ${name} was removed, and another one made by that name`, {
      hint: "Get it anew: Volume.get(name).",
    });
  };
  await Operation.run(`remove volume ${name}`, options, async () => {
    await removeVolume(locateHome(), name, isMeant);
  });
}
