import { constants } from "node:fs";
import { lstat, open, realpath, rename, unlink } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { locate, OutsideError, type Place } from "../../host/contained/contained-directory.ts";
import { removeTree } from "../../host/contained/remove-tree.ts";
import { errorCode } from "../../host/system-error.ts";
import { ToolError } from "../call/tool-failure.ts";

/** A path of the host that tools may use. */
export interface AllowedPath {
  /** As it was given. */
  readonly given: string;
  /** Absolute, without links. */
  readonly real: string;
  /** The directory that allows it, without links. */
  readonly root: string;
}

/**
 * The directories of the host that tools may name, and what is below them, after links were resolved; never the state directory of
 * microsandbox, where secrets are.
 *
 * What is read or written by the server itself is reached through descriptors ({@link source}, {@link target}): whoever swaps a
 * directory for a link meanwhile, as a guest that shares one can, leads nobody out.
 */
export class AllowedPaths {
  readonly #roots: readonly string[];
  readonly #forbidden: string;

  /** @param roots absolute @param forbidden the state directory */
  constructor(roots: readonly string[], forbidden: string) {
    this.#roots = roots;
    this.#forbidden = forbidden;
  }

  /** As they were given. */
  get roots(): readonly string[] {
    return this.#roots;
  }

  /**
   * Looks whether a path may be used: one that is there, or whose directory is.
   *
   * @param given relative to the first of the directories
   * @throws ToolError `host_path_denied`
   */
  async check(given: string): Promise<AllowedPath> {
    const [first] = this.#roots;
    if (first === undefined) throw denied(given, "no directory of this computer is allowed");
    if (given === "" || given.includes("\0")) throw denied(given, "it is no path");
    const real = await realPath(resolve(first, given));
    if (real === null) throw denied(given, "neither it nor its directory is there");
    const root = await this.#rootOf(real);
    if (root === null) throw denied(given, "it is outside of the directories that are allowed");
    const state = (await realPath(this.#forbidden)) ?? this.#forbidden;
    if (isWithin(state, real) || isWithin(real, state))
      throw denied(given, "the state of microsandbox, with its secrets, is there");
    return { given, real, root };
  }

  /** Whether a path, as it is written, is below one of the directories. */
  async lies(path: string): Promise<boolean> {
    return (await this.#rootOf(path)) !== null;
  }

  /** Whether a path that was allowed still is, and is the same. Of one that is stored with a sandbox. @throws ToolError */
  async checkSame(real: string): Promise<void> {
    const now = await this.check(real);
    if (now.real !== real) throw denied(real, "a link has taken the place of a directory on the way to it");
  }

  /**
   * Opens a file or a directory for calls that read it by a path.
   *
   * @throws ToolError; the system's error when it is not there
   */
  async source(given: string): Promise<HeldPath> {
    const place = await this.#place(await this.check(given));
    await using held = place.directory;
    const handle = await open(
      place.path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    ).catch((error: unknown) => {
      throw errorCode(error) === "ELOOP" ? swapped(given) : error;
    });
    const path = process.platform === "linux" ? `/proc/self/fd/${handle.fd}` : held.at(place.name).toString();
    return { path, given, [Symbol.asyncDispose]: () => handle.close() };
  }

  /**
   * Finds the place of something that is to be made: at the path when nothing is there, in the directory when one is, over the file
   * when `overwrite` allows that. The work makes it under another name beside its own, and gets its own when it is whole.
   *
   * @param name of what is put into a directory that is there
   * @param work is handed the path under which it is to be made
   * @returns where it is now
   * @throws ToolError; what the work throws; the system's error
   */
  async target(
    given: string,
    name: string,
    overwrite: boolean,
    work: (path: string) => Promise<void>,
  ): Promise<string> {
    const allowed = await this.check(given);
    const place = await this.#place(allowed);
    await using directory = place.directory;
    const status = await lstat(place.path).catch(unlessMissing);
    if (status?.isDirectory() === true) {
      await using inner = await directory.openChild(Buffer.from(place.name)).catch((error: unknown) => {
        throw errorCode(error) === "ELOOP" || errorCode(error) === "ENOTDIR" ? swapped(given) : error;
      });
      await make(inner.at.bind(inner), name, overwrite, given, work);
      return join(allowed.real, name);
    }
    await make(directory.at.bind(directory), place.name, overwrite, given, work);
    return allowed.real;
  }

  async #place({ given, real, root }: AllowedPath): Promise<Place> {
    try {
      return await locate(root, relative(root, real), { follow: false });
    } catch (error) {
      throw error instanceof OutsideError ? swapped(given) : error;
    }
  }

  async #rootOf(real: string): Promise<string | null> {
    for (const root of this.#roots) {
      const found = await realPath(root);
      if (found !== null && isWithin(found, real)) return found;
    }
    return null;
  }
}

/** A path for one call, as long as it is held. */
export interface HeldPath extends AsyncDisposable {
  readonly path: string;
  readonly given: string;
}

/** @param at the path of an entry of a directory that is held */
async function make(
  at: (name: string) => Buffer,
  name: string,
  overwrite: boolean,
  given: string,
  work: (path: string) => Promise<void>,
): Promise<void> {
  if (name === "" || name === "." || name === ".." || name.includes("/"))
    throw denied(given, `${JSON.stringify(name)} is no name of a file`);
  const standing = await lstat(at(name)).catch(unlessMissing);
  if (standing !== null && (!overwrite || standing.isDirectory())) {
    throw new ToolError(
      "operation_failed",
      `${name} is there already`,
      standing.isDirectory() ? "Name another path." : "Name another path, or set overwrite.",
    );
  }
  const aside = at(`.msb-mcp-${randomUUID()}`);
  try {
    await work(aside.toString());
    // Takes the place of a link itself, and not of what it leads to.
    await rename(aside, at(name));
  } catch (error) {
    await removeTree({ path: aside }).catch(() => unlink(aside).catch(() => undefined));
    throw error;
  }
}

/** Without links; of what is missing the directory's. Null when that is missing too. */
async function realPath(path: string): Promise<string | null> {
  const whole = await realpath(path).catch(unlessMissing);
  if (whole !== null) return whole;
  // A link to what is not there yet would be followed by whoever makes it.
  if ((await lstat(path).catch(unlessMissing)) !== null) return null;
  const parent = await realpath(dirname(path)).catch(unlessMissing);
  return parent === null ? null : join(parent, basename(path));
}

function unlessMissing(error: unknown): null {
  const code = errorCode(error);
  if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "EACCES") return null;
  throw error;
}

function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(root === sep ? sep : `${root}${sep}`);
}

function denied(given: string, why: string): ToolError {
  return new ToolError(
    "host_path_denied",
    `the path ${JSON.stringify(given)} of this computer may not be used: ${why}`,
    "Use a path below a directory that the resource microsandbox://policy lists; whoever runs the server allows others by MICROSANDBOX_MCP_HOST_PATHS.",
  );
}

function swapped(given: string): ToolError {
  return denied(given, "a link has taken its place");
}
