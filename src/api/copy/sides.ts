import type { Readable } from "node:stream";
import { lstat, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, posix, resolve } from "node:path";
import { SandboxFsError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { SandboxFs } from "../fs/sandbox-fs.ts";
import type { WriteBytes } from "./archive/archive-writer.ts";
import { withoutSlashes, type CopyPlace, type Standing } from "./destination.ts";

/** A path of this computer. */
export interface HostSide {
  readonly kind: "host";
  readonly path: string;
}

/** An absolute path in a running sandbox. */
export interface SandboxSide {
  readonly kind: "sandbox";
  readonly sandbox: string;
  readonly fs: SandboxFs;
  readonly path: string;
}

export interface ArchiveInput {
  readonly kind: "archive";
  readonly stream: Readable;
}

export interface ArchiveOutput {
  readonly kind: "archive";
  readonly write: WriteBytes;
}

/** A side as people write it. */
export function shownSide(side: HostSide | SandboxSide | { readonly kind: "archive" }): string {
  if (side.kind === "archive") return "-";
  return side.kind === "host" ? side.path : `${side.sandbox}:${side.path}`;
}

/** Whether only what is in a directory is meant: the path ends with `/.`, or is the root. */
export function meansContents({ kind, path }: HostSide | SandboxSide): boolean {
  const whole = kind === "host" ? resolve(path) : posix.resolve(path);
  return whole === "/" || basename(withoutSlashes(path)) === ".";
}

/** The last part of a path, also of one that ends with `..`. */
export function nameOfSide({ kind, path }: HostSide | SandboxSide): string {
  return basename(kind === "host" ? resolve(path) : posix.resolve(path));
}

/**
 * What stands where a copy is to go.
 *
 * @throws IoError, SandboxFsError when it cannot be seen
 */
export async function placeOf(side: HostSide | SandboxSide, signal: AbortSignal): Promise<CopyPlace> {
  const standing =
    side.kind === "host" ? await standingOnHost(side.path) : await standingInGuest(side, signal);
  return { path: side.path, standing, shown: shownSide(side) };
}

async function standingOnHost(path: string): Promise<Standing> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "other";
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR")
      throw ioError(`look at ${path}`, error, "userFile");
  }
  // A link that leads nowhere, or a file that was named with a slash at its end.
  return (await lstat(withoutSlashes(path)).catch(() => null)) === null ? "nothing" : "other";
}

async function standingInGuest({ fs, path }: SandboxSide, signal: AbortSignal): Promise<Standing> {
  try {
    return (await fs.stat(path, { signal })).kind === "directory" ? "directory" : "other";
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  try {
    await fs.stat(withoutSlashes(path), { followSymlinks: false, signal });
    return "other";
  } catch (error) {
    if (isMissing(error)) return "nothing";
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof SandboxFsError && ["ENOENT", "ENOTDIR"].includes(error.errnoName ?? "");
}

/**
 * A path without links, to be compared with another one of the same side. What is to be made has the path that it will have.
 *
 * @throws IoError, SandboxFsError when the directory above is not there
 */
export async function realPathOf(
  side: HostSide | SandboxSide,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const real = (of: string): Promise<string> =>
    side.kind === "host" ? realpath(of) : side.fs.realPath(of, { signal });
  try {
    return await real(path);
  } catch (error) {
    if (!isMissing(error) && errorCode(error) !== "ENOENT") throw error;
    return join(await real(dirname(path)), basename(path));
  }
}
