import { InvalidConfigError } from "../errors/index.ts";
import { built } from "./checks.ts";
import { checkString } from "./guest-text.ts";
import { checkRootDisk, type RootDiskInput } from "./root-disk-builder.ts";
import type { RootDisk } from "./root-disk.ts";
import { checkFileSystemType, diskFormatOf, intoRootfsSource, type RootfsSource } from "./rootfs-source.ts";
import type { Mebibytes } from "./sizes.ts";

/** What {@link ImageBuilder} makes. */
export interface ImageChoice {
  readonly source: RootfsSource;
  /** null: not said. */
  readonly rootDisk: RootDisk | null;
}

/**
 * Says what the root file system is made from without guessing from a string's form:
 * `builder.imageWith(i => i.disk("root.qcow2").fstype("ext4"))`. Of several sources the last counts.
 */
export class ImageBuilder {
  #source: RootfsSource | null = null;
  #fstype: string | null = null;
  #rootDisk: RootDisk | null = null;

  /** An image of a registry or of the store. */
  oci(reference: string): this {
    this.#source = { kind: "oci", reference: checkString("the image's reference", reference) };
    return this;
  }

  /** A directory of the host; what the guest writes lands in it. */
  bind(host: string): this {
    this.#source = { kind: "bind", path: checkString("the image's directory", host) };
    return this;
  }

  /** A disk image of the host, written by the guest. The name's end tells its format: .qcow2, .raw, .vmdk. */
  disk(path: string): this {
    const format = diskFormatOf(checkString("the disk image's path", path));
    if (format === null) {
      throw new InvalidConfigError(`the disk image ${JSON.stringify(path)} is of no known format`, {
        hint: "Its name must end in .qcow2, .raw or .vmdk.",
      });
    }
    this.#source = { kind: "disk", path, format };
    return this;
  }

  /** The file system on the disk image; found out when it is not said. */
  fstype(type: string): this {
    this.#fstype = checkFileSystemType(type);
    return this;
  }

  /** What the guest writes to, over an image. */
  rootDisk(disk: RootDiskInput): this {
    this.#rootDisk = checkRootDisk(disk);
    return this;
  }

  /** The older spelling of `rootDisk(mib)`. */
  upperSize(mib: number | Mebibytes): this {
    return this.rootDisk(mib);
  }

  /** @throws InvalidConfigError */
  build(): ImageChoice {
    const source = this.#source;
    if (source === null) {
      throw new InvalidConfigError("the image has no source", { hint: "Call oci(), bind() or disk()." });
    }
    if (this.#fstype === null) return { source, rootDisk: this.#rootDisk };
    if (source.kind !== "disk") {
      throw new InvalidConfigError("fstype() is for disk images only", { hint: "Leave fstype() out." });
    }
    return { source: { ...source, fstype: this.#fstype }, rootDisk: this.#rootDisk };
  }
}

/** @throws InvalidConfigError, UnsupportedOperationError */
export function chooseImage(configure: (image: ImageBuilder) => ImageBuilder): ImageChoice {
  const { source, rootDisk } = built("imageWith", configure, new ImageBuilder()).build();
  return { source: intoRootfsSource(source), rootDisk };
}
