import { chooseImage, type ImageBuilder } from "../../config/image-builder.ts";
import type { RootDiskBuilder } from "../../config/root-disk-builder.ts";
import type { RootfsSource } from "../../config/rootfs-source.ts";
import type { Mebibytes } from "../../config/sizes.ts";
import { NetworkSetters } from "./network-setters.ts";

/** The settings of the root file system: what it is made from, and what the guest writes to. */
export class RootSetters extends NetworkSetters {
  /**
   * What the root file system is made from. Required, unless `fromSnapshot()` is. A string is an image's reference, such as `localhost/base` or
   * `python:3.12`; a directory of the host when it begins with `/`, `./` or `../`; a disk image of the host when it ends in
   * `.qcow2`, `.raw` or `.vmdk`.
   */
  image(source: string | RootfsSource): this {
    this.draft.set("image", source);
    return this;
  }

  /** The same, said in words: `i => i.disk("root.img.raw").fstype("ext4")`. */
  imageWith(configure: (image: ImageBuilder) => ImageBuilder): this {
    this.draft.attempt(() => {
      const { source, rootDisk } = chooseImage(configure);
      this.draft.put("image", () => source);
      if (rootDisk !== null) this.draft.put("rootDisk", () => rootDisk);
    });
    return this;
  }

  /**
   * Begins with a snapshot: its name, its path (with a slash) or its digest. The sandbox gets a copy of its disk. In place of an image, a
   * root disk and patches. From one with memory it goes on, with the settings of the sandbox that was captured: those that its guest knows
   * cannot be others.
   */
  fromSnapshot(pathOrName: string): this {
    this.draft.set("fromSnapshot", pathOrName);
    return this;
  }

  /**
   * What the guest writes to, over an image: a sparse file of so many MiB on the host, by default 4096; or as the function
   * says, such as `d => d.tmpfs().size(256)`.
   */
  rootDisk(disk: number | Mebibytes | ((disk: RootDiskBuilder) => RootDiskBuilder)): this {
    this.draft.set("rootDisk", disk);
    return this;
  }
}
