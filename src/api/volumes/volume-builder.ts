import { checkMebibytes } from "../../config/checks.ts";
import { checkVolumeConfig, type VolumeConfig } from "../../config/volumes/volume-config.ts";
import type { PairsInput } from "../../config/pairs.ts";
import { labelsType, type Labels } from "../../config/labels.ts";
import type { Mebibytes } from "../../config/sizes.ts";
import type { WaitOptions } from "../../host/operation.ts";
import { makeVolume } from "./make-volume.ts";
import type { Volume } from "./volume.ts";

/**
 * Says what a named volume is to be, then creates it: a directory unless `disk()` is called. What is wrong is thrown by `build()` and
 * `create()`.
 *
 * @example
 * ```ts
 * import { Volume } from "microsandbox";
 *
 * const volume = await Volume.builder("cache-example").label("stage", "test").create();
 * console.log(volume.path);
 * await Volume.remove(volume.name);
 * ```
 */
export class VolumeBuilder {
  readonly #name: string;
  #kind: "dir" | "disk" = "dir";
  #quotaMib: number | null = null;
  #capacityMib: number | null = null;
  #labels: Labels = {};
  #mistake: { readonly error: unknown } | null = null;

  /** @param name 1 to 128 bytes of letters, digits, `.`, `_`, `-`, beginning with a letter or a digit */
  constructor(name: string) {
    this.#name = name;
  }

  /** How much guests may add, in MiB. For directories. */
  quota(mib: number | Mebibytes): this {
    return this.#attempt(() => {
      this.#quotaMib = checkMebibytes("the quota of the volume", mib);
    });
  }

  /** Adds a label. Keys with `sandbox.`, `microsandbox.` and `service.` are reserved. */
  label(key: string, value: string): this {
    return this.labels([[key, value]]);
  }

  /** Adds labels. */
  labels(values: PairsInput): this {
    return this.#attempt(() => {
      this.#labels = { ...this.#labels, ...labelsType.check("labels", values) };
    });
  }

  /** A directory of the host, which is the default. */
  directory(): this {
    this.#kind = "dir";
    return this;
  }

  /** A disk with an ext4 file system; it needs a `size()`, and takes as much of the host's disk as was written to it. */
  disk(): this {
    this.#kind = "disk";
    return this;
  }

  /** What a disk can hold, in MiB; at least 16. */
  size(mib: number | Mebibytes): this {
    return this.#attempt(() => {
      this.#capacityMib = checkMebibytes("the size of the volume", mib);
    });
  }

  /** The configuration, checked and frozen. Has no side effects. @throws InvalidConfigError */
  build(): VolumeConfig {
    // What a setter complained about is an error of this package, or of the caller's own iterable.
    if (this.#mistake !== null) throw this.#mistake.error;
    return checkVolumeConfig({
      name: this.#name,
      kind: this.#kind,
      quotaMib: this.#quotaMib,
      capacityMib: this.#capacityMib,
      labels: this.#labels,
    });
  }

  /** @throws InvalidConfigError, VolumeAlreadyExistsError, IoError; nothing is made then */
  async create(options: WaitOptions = {}): Promise<Volume> {
    return await makeVolume(this.build(), options);
  }

  #attempt(work: () => void): this {
    try {
      work();
    } catch (error) {
      this.#mistake ??= { error };
    }
    return this;
  }
}
