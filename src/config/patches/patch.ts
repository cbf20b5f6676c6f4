import { checkObject } from "../checks.ts";
import type { PatchKind } from "../enums.ts";

/**
 * One change of a sandbox's root file system, made once, before the first command. Paths are absolute ones of the guest; `src` is
 * a path of the host. `mode` is as in chmod(2). Without `replace`, what is there already is a PatchFailedError.
 */
export type Patch =
  | {
      readonly kind: "text";
      readonly path: string;
      readonly content: string;
      readonly mode?: number;
      readonly replace: boolean;
    }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly content: Buffer;
      readonly mode?: number;
      readonly replace: boolean;
    }
  | {
      readonly kind: "copyFile";
      readonly src: string;
      readonly dst: string;
      readonly mode?: number;
      readonly replace: boolean;
      readonly keepDirectories?: boolean;
    }
  | {
      readonly kind: "copyDir";
      readonly src: string;
      readonly dst: string;
      readonly replace: boolean;
      readonly keepDirectories?: boolean;
    }
  | { readonly kind: "symlink"; readonly target: string; readonly link: string; readonly replace: boolean }
  | { readonly kind: "mkdir"; readonly path: string; readonly mode?: number }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "append"; readonly path: string; readonly content: string };

/** A patch as the configuration object takes it: what each kind needs of these. */
export interface PatchConfig {
  readonly kind: PatchKind;
  readonly path?: string | undefined;
  readonly content?: string | Uint8Array | undefined;
  /** Of `file`: another name of `content`. */
  readonly contentBytes?: Uint8Array | undefined;
  readonly src?: string | undefined;
  readonly dst?: string | undefined;
  readonly target?: string | undefined;
  readonly link?: string | undefined;
  readonly mode?: number | null | undefined;
  readonly replace?: boolean | null | undefined;
  readonly keepDirectories?: boolean | null | undefined;
}

/** Of a patch that makes something. */
export interface PatchOptions {
  /** Permissions, such as `0o755`; null: as if it were left out. */
  readonly mode?: number | null | undefined;
  /** Takes the place of what is there. */
  readonly replace?: boolean | null | undefined;
}

/** Of a patch that copies something of the host's. */
export interface CopyPatchOptions extends PatchOptions {
  /**
   * As `cp` does it: a file that is copied onto a directory goes into it, and no directory is replaced by anything else. Without it
   * `replace` puts a file in the place of a whole directory.
   */
  readonly keepDirectories?: boolean | null | undefined;
}

/** What is no object would say nothing. @throws InvalidConfigError */
function given<T extends object>(kind: PatchKind, options: T): T {
  return checkObject(`the last argument of Patch.${kind}()`, options);
}

/**
 * Makes patches for `SandboxConfigInput.patches` and `SandboxBuilder.addPatch`. They are checked there.
 *
 * @example
 * ```ts
 * import { Patch, Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.create({
 *   name: "patch-example",
 *   image: "localhost/base",
 *   patches: [Patch.mkdir("/srv/app"), Patch.text("/srv/app/greeting", "hello\n")],
 *   replace: true,
 * });
 * console.log((await sandbox.exec("cat", ["/srv/app/greeting"])).stdout()); // prints hello
 * ```
 */
export const Patch = {
  /** A file of text, mode 0644 unless said. */
  text: (path: string, content: string, options: PatchOptions = {}): PatchConfig => ({
    ...given("text", options),
    ...{ kind: "text", path, content },
  }),
  /** A file of bytes, mode 0644 unless said. */
  file: (path: string, content: Uint8Array, options: PatchOptions = {}): PatchConfig => ({
    ...given("file", options),
    ...{ kind: "file", path, content },
  }),
  /** A file of the host, with its mode unless said. A link is followed. To `/etc/` it is copied under its own name. */
  copyFile: (src: string, dst: string, options: CopyPatchOptions = {}): PatchConfig => ({
    ...given("copyFile", options),
    ...{ kind: "copyFile", src, dst },
  }),
  /** A directory of the host with all that is in it: modes and links as they are. With `replace` it goes into one that is there. */
  copyDir: (src: string, dst: string, options: Omit<CopyPatchOptions, "mode"> = {}): PatchConfig => ({
    ...given("copyDir", options),
    ...{ kind: "copyDir", src, dst },
  }),
  /** A symbolic link; the target is written as it is. */
  symlink: (target: string, link: string, options: Pick<PatchOptions, "replace"> = {}): PatchConfig => ({
    ...given("symlink", options),
    ...{ kind: "symlink", target, link },
  }),
  /** A directory, mode 0755 unless said. One that is there is left as it is. */
  mkdir: (path: string, options: Pick<PatchOptions, "mode"> = {}): PatchConfig => ({
    ...given("mkdir", options),
    ...{ kind: "mkdir", path },
  }),
  /** Removes a file, or a directory with all that is in it. What is not there is no error. */
  remove: (path: string): PatchConfig => ({ kind: "remove", path }),
  /** Text at the end of a regular file that is there. */
  append: (path: string, content: string): PatchConfig => ({ kind: "append", path, content }),
} as const;
