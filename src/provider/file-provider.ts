/**
 * Files that a program makes up: what `m.provider(files)` mounts in a guest. Paths are absolute, `/` is the directory itself, names
 * are Unicode text, and no path has `.`, `..` or an empty name in it. Only regular files, directories and symbolic links are there;
 * links are followed by the guest, so that no path leads through one.
 *
 * `stat`, `list` and `read` are enough for files that can only be read. With any of the others the mount can be written, and what is
 * missing is `EPERM` for the guest's program.
 *
 * Whatever is thrown is the answer to one call of the guest's: an error whose `code` is a name of Linux's (`ENOENT`, `EACCES`, `ENOSPC`,
 * `EEXIST`, `ENOTEMPTY` ...), or whose `cause` has such a code, is that error for the guest's program; any other is `EIO`, and is told to
 * `onError`. So is an answer that cannot be, such as more bytes than were asked for. Calls run at the same time, up to 128.
 *
 * @example
 * ```ts
 * import { Sandbox, type FileProvider } from "microsandbox";
 *
 * const text = Buffer.from(`made at ${new Date().toISOString()}\n`);
 * const files: FileProvider = {
 *   async stat(path) {
 *     if (path === "/") return { kind: "directory" };
 *     if (path === "/now") return { kind: "file", size: text.length };
 *     throw Object.assign(new Error(path), { code: "ENOENT" });
 *   },
 *   async list() {
 *     return [{ name: "now" }];
 *   },
 *   async read(_path, offset, length) {
 *     return text.subarray(offset, offset + length);
 *   },
 * };
 * await using sandbox = await Sandbox.builder("provider-example")
 *   .image("localhost/base")
 *   .volume("/made", (m) => m.provider(files))
 *   .replace()
 *   .create();
 * console.log((await sandbox.exec("cat", ["/made/now"])).stdout());
 * ```
 */
export interface FileProvider {
  /** What is at a path; of a link, the link itself. Fails with `ENOENT` for nothing. */
  stat(path: string, call: ProviderCall): Promise<ProvidedStat>;
  /** All entries of a directory, without `.` and `..`, in any order; 1,000,000 at most. */
  list(path: string, call: ProviderCall): Promise<readonly ProvidedEntry[]>;
  /**
   * Bytes of a file from an offset on. Fewer than asked for (at most 256 KiB) means that the file ends there.
   */
  read(path: string, offset: number, length: number, call: ProviderCall): Promise<Uint8Array>;
  /** Where a link leads to. Without it there are no links. */
  readLink?(path: string, call: ProviderCall): Promise<string>;
  /** Writes all of the bytes (at most 256 KiB, good until the call ends) at an offset, which may be beyond the end: zeros are between. */
  write?(path: string, offset: number, bytes: Uint8Array, call: ProviderCall): Promise<void>;
  /** Makes an empty file. Fails with `EEXIST` where something is. */
  create?(path: string, attributes: NewAttributes, call: ProviderCall): Promise<void>;
  /** Makes a directory. Fails with `EEXIST` where something is. */
  mkdir?(path: string, attributes: NewAttributes, call: ProviderCall): Promise<void>;
  /** Makes a link that leads to `target`, which is a text for the guest and may be anything. */
  symlink?(target: string, path: string, attributes: NewAttributes, call: ProviderCall): Promise<void>;
  /** Removes a file or a link. Not called for a file that is open in the guest, if it can be renamed. */
  remove?(path: string, call: ProviderCall): Promise<void>;
  /** Removes a directory. Fails with `ENOTEMPTY` when something is in it. */
  removeDirectory?(path: string, call: ProviderCall): Promise<void>;
  /** Renames as rename(2) does: what is at `to` is replaced at once, and a directory takes with it what is in it. */
  rename?(from: string, to: string, call: ProviderCall): Promise<void>;
  /** Cuts a file, or lengthens it with zeros. */
  truncate?(path: string, size: number, call: ProviderCall): Promise<void>;
  /** Changes what is given and nothing else. */
  setAttributes?(path: string, change: AttributeChange, call: ProviderCall): Promise<void>;
  /** fsync(2): what was written before is safe when it ends. Without it that is so at once. */
  flush?(path: string, call: ProviderCall): Promise<void>;
  /** What df shows. */
  statFs?(call: ProviderCall): Promise<ProvidedSpace>;
}

/** Who asks, and for how long. */
export interface ProviderCall {
  /** Aborted when nobody waits for the answer any more: its time is over, the guest's program was interrupted, or the sandbox ended. */
  readonly signal: AbortSignal;
  /** User and group in the guest. */
  readonly uid: number;
  readonly gid: number;
}

/** What is known of a file. */
export interface ProvidedStat {
  readonly kind: "file" | "directory" | "symlink";
  /** Bytes; 0 when it is left out. */
  readonly size?: number | undefined;
  /** Permission bits, at most 0o7777; by default 0o644, of directories 0o755, of links 0o777. Any user of the guest may do anything. */
  readonly mode?: number | undefined;
  /** By default root. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** ms since 1970, which may have a fraction. Without it the guest keeps nothing of the content from one opening to the next. */
  readonly mtimeMs?: number | undefined;
  /** By default those of `mtimeMs`. */
  readonly atimeMs?: number | undefined;
  readonly ctimeMs?: number | undefined;
  /** Bytes that it takes, for du; by default its size. */
  readonly usedBytes?: number | undefined;
  /** A number of its own, above 0, by which the guest knows the file again after it was renamed. Another number: another file. */
  readonly id?: number | undefined;
}

/** One entry of a directory. */
export interface ProvidedEntry {
  /** 1 to 255 bytes of UTF-8, without `/`. */
  readonly name: string;
  /** As `stat` would tell it, which is not called then for every entry of a listing. */
  readonly stat?: ProvidedStat | undefined;
}

/** How something is made. */
export interface NewAttributes {
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What is to change. */
export interface AttributeChange {
  /** Permission bits, at most 0o7777. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** ms since 1970, which may have a fraction. */
  readonly atimeMs?: number;
  readonly mtimeMs?: number;
}

/** Room in a file system, in bytes and files. */
export interface ProvidedSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly totalFiles?: number | undefined;
  readonly freeFiles?: number | undefined;
}

/** What went wrong with a provider. */
export interface ProviderFailure {
  /** The method that was called. */
  readonly operation: string;
  /** What it was called for. */
  readonly path: string;
  /** Where it is mounted in the guest. */
  readonly mount: string;
}

/** What a provider has to have, and what it may have. */
export const requiredMethods = ["stat", "list", "read"] as const satisfies readonly (keyof FileProvider)[];
const writingMethods = [
  ...["write", "create", "mkdir", "symlink", "remove"],
  ...["removeDirectory", "rename", "truncate", "setAttributes"],
] as readonly (keyof FileProvider)[];
export const allMethods: readonly (keyof FileProvider)[] = [
  ...[...requiredMethods, ...writingMethods],
  ...(["readLink", "flush", "statFs"] as const),
];

/** Whether anything of it can be written. */
export function isWritable(files: FileProvider): boolean {
  return writingMethods.some((method) => files[method] !== undefined);
}
