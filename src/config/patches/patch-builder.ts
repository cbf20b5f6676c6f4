import { checkPatch } from "./check-patch.ts";
import { Patch, type CopyPatchOptions, type PatchConfig, type PatchOptions } from "./patch.ts";

/**
 * Says how a sandbox's root file system is changed before its first command: `builder.patch(p => p.text("/etc/motd", "hi\n"))`.
 * Patches are applied in the order of the calls; later ones see what earlier ones have done.
 */
export class PatchBuilder {
  readonly #patches: PatchConfig[] = [];
  #mistake: { readonly error: unknown } | null = null;

  /** A file of text, mode 0644 unless said. */
  text(path: string, content: string, options?: PatchOptions): this {
    return this.#add(() => Patch.text(path, content, options));
  }

  /** A file of bytes, mode 0644 unless said. */
  file(path: string, content: Uint8Array, options?: PatchOptions): this {
    return this.#add(() => Patch.file(path, content, options));
  }

  /** A file of the host, with its mode unless said. A link is followed. */
  copyFile(src: string, dst: string, options?: CopyPatchOptions): this {
    return this.#add(() => Patch.copyFile(src, dst, options));
  }

  /** A directory of the host with all that is in it. With `replace` it goes into one that is there. */
  copyDir(src: string, dst: string, options?: Omit<CopyPatchOptions, "mode">): this {
    return this.#add(() => Patch.copyDir(src, dst, options));
  }

  /** A symbolic link; the target is written as it is. */
  symlink(target: string, link: string, options?: Pick<PatchOptions, "replace">): this {
    return this.#add(() => Patch.symlink(target, link, options));
  }

  /** A directory, mode 0755 unless said. One that is there is left as it is. */
  mkdir(path: string, options?: Pick<PatchOptions, "mode">): this {
    return this.#add(() => Patch.mkdir(path, options));
  }

  /** Removes a file, or a directory with all that is in it. What is not there is no error. */
  remove(path: string): this {
    return this.#add(() => Patch.remove(path));
  }

  /** Text at the end of a regular file that is there. */
  append(path: string, content: string): this {
    return this.#add(() => Patch.append(path, content));
  }

  /** @throws InvalidConfigError; PatchFailedError for a path of the guest that cannot be patched */
  build(): Patch[] {
    // What a setter complained about is an error of this package.
    if (this.#mistake !== null) throw this.#mistake.error;
    return this.#patches.map((patch, index) => checkPatch(`patches[${index}]`, patch));
  }

  #add(make: () => PatchConfig): this {
    try {
      this.#patches.push(make());
    } catch (error) {
      this.#mistake ??= { error };
    }
    return this;
  }
}
