import type { FileProvider, ProvidedEntry, ProvidedStat, ProviderCall } from "../file-provider.ts";
import { linuxErrno, systemError } from "../fuse/linux-errors.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { copyBetween } from "./copy-up.ts";
import { Whiteouts } from "./whiteouts.ts";

const noEntry = 2;

/**
 * Two providers as one: what the upper one has covers what the lower one has at the same path, and directories show what both have. Whatever is
 * written goes to the upper one, where a file of the lower one is copied first; the lower one is never written. What is removed is
 * remembered for as long as this object lives. Directories of the lower one cannot be renamed (`EXDEV`: `mv` copies them then, as on overlayfs).
 *
 * @param upper can be written, or the union can only be read
 *
 * @example
 * ```ts
 * import { memory, union } from "microsandbox";
 *
 * const [lower, upper] = [memory({ files: { "/kept": "old" } }), memory()];
 * const files = union(upper, lower);
 * const call = { signal: new AbortController().signal, uid: 0, gid: 0 };
 * await files.write?.("/kept", 0, Buffer.from("new"), call);
 * const both = await Promise.all([upper, lower].map((each) => each.read("/kept", 0, 10)));
 * console.log(both.map((bytes) => Buffer.from(bytes).toString()).join(" ")); // prints new old
 * ```
 */
export function union(upper: FileProvider, lower: FileProvider): FileProvider {
  const both = new Union(upper, lower);
  const reading: FileProvider = {
    stat: (path, call) => both.stat(path, call),
    list: (path, call) => both.list(path, call),
    read: async (path, offset, length, call) =>
      await (await both.sideOf(path, call)).read(path, offset, length, call),
    readLink: async (path, call) => await both.readLink(path, call),
    ...(upper.statFs === undefined ? {} : { statFs: upper.statFs.bind(upper) }),
    ...(upper.flush === undefined ? {} : { flush: (path, call) => both.flush(path, call) }),
  };
  return { ...reading, ...both.writing() };
}

class Union {
  readonly #upper: FileProvider;
  readonly #lower: FileProvider;
  readonly #whiteouts = new Whiteouts();
  /** Copies under way, by path: who writes a file at the same time waits for the same copy. */
  readonly #copies = new Map<string, Promise<void>>();

  constructor(upper: FileProvider, lower: FileProvider) {
    this.#upper = upper;
    this.#lower = lower;
  }

  /** What the upper one can do, each with what it takes to do it to a file of the lower one. */
  writing(): Partial<FileProvider> {
    const upper = this.#upper;
    const all: Partial<FileProvider> = {
      write: async (path, offset, bytes, call) => {
        await this.#copyUp(path, call);
        await upper.write?.(path, offset, bytes, call);
      },
      truncate: async (path, size, call) => {
        await this.#copyUp(path, call);
        await upper.truncate?.(path, size, call);
      },
      setAttributes: async (path, change, call) => {
        await this.#copyUp(path, call);
        await upper.setAttributes?.(path, change, call);
      },
      create: async (path, attributes, call) => {
        await this.#makeRoom(path, call);
        await upper.create?.(path, attributes, call);
      },
      mkdir: async (path, attributes, call) => {
        await this.#makeRoom(path, call);
        await upper.mkdir?.(path, attributes, call);
      },
      symlink: async (target, path, attributes, call) => {
        await this.#makeRoom(path, call);
        await upper.symlink?.(target, path, attributes, call);
      },
      remove: (path, call) => this.#remove(path, call),
      removeDirectory: (path, call) => this.#removeDirectory(path, call),
      rename: (from, to, call) => this.#rename(from, to, call),
    };
    const can = ([method]: readonly [string, unknown]): boolean =>
      upper[method as keyof FileProvider] !== undefined;
    return Object.fromEntries(Object.entries(all).filter(can));
  }

  async stat(path: string, call: ProviderCall): Promise<ProvidedStat> {
    const found = (await orNone(this.#upper.stat(path, call))) ?? (await this.#below(path, call));
    if (found === null) throw systemError("ENOENT", path);
    // The numbers of two providers are not one another's; and a file that is copied stays the same one.
    const { id: _, ...stat } = found;
    return stat;
  }

  async list(path: string, call: ProviderCall): Promise<ProvidedEntry[]> {
    const upper = await orNone(this.#upper.list(path, call));
    const below = await this.#below(path, call);
    if (upper === null && below === null) throw systemError("ENOENT", path);
    const isMerged = below?.kind === "directory" || upper === null;
    const lower = isMerged ? await this.#lower.list(path, call) : [];
    const entries = new Map<string, ProvidedEntry>();
    for (const entry of lower)
      if (!this.#whiteouts.hides(inside(path, entry.name))) entries.set(entry.name, withoutId(entry));
    for (const entry of upper ?? []) entries.set(entry.name, withoutId(entry));
    return [...entries.values()];
  }

  async readLink(path: string, call: ProviderCall): Promise<string> {
    const target = await (await this.sideOf(path, call)).readLink?.(path, call);
    if (target === undefined) throw systemError("EINVAL", path);
    return target;
  }

  async flush(path: string, call: ProviderCall): Promise<void> {
    if ((await this.sideOf(path, call)) === this.#upper) await this.#upper.flush?.(path, call);
  }

  /** Whose file it is. @throws ENOENT */
  async sideOf(path: string, call: ProviderCall): Promise<FileProvider> {
    // Where it cannot be renamed, a copy is there before it is whole.
    if (this.#upper.rename === undefined) await this.#copies.get(path)?.catch(() => undefined);
    if ((await orNone(this.#upper.stat(path, call))) !== null) return this.#upper;
    if (this.#whiteouts.hides(path)) throw systemError("ENOENT", path);
    return this.#lower;
  }

  /** What the lower one has at a path that is seen; null for nothing. */
  async #below(path: string, call: ProviderCall): Promise<ProvidedStat | null> {
    return this.#whiteouts.hides(path) ? null : await orNone(this.#lower.stat(path, call));
  }

  /** Sees to it that something can be made at a path. @throws EEXIST, ENOENT */
  async #makeRoom(path: string, call: ProviderCall): Promise<void> {
    if ((await this.#below(path, call)) !== null) throw systemError("EEXIST", path);
    await this.#copyUp(above(path), call);
  }

  async #remove(path: string, call: ProviderCall): Promise<void> {
    const { kind } = await this.stat(path, call);
    if (kind === "directory") throw systemError("EISDIR", path);
    const below = await this.#below(path, call);
    if ((await orNone(this.#upper.stat(path, call))) !== null) await this.#upper.remove?.(path, call);
    if (below !== null) this.#whiteouts.add(path);
  }

  async #removeDirectory(path: string, call: ProviderCall): Promise<void> {
    const { kind } = await this.stat(path, call);
    if (kind !== "directory") throw systemError("ENOTDIR", path);
    if ((await this.list(path, call)).length > 0) throw systemError("ENOTEMPTY", path);
    const below = await this.#below(path, call);
    if ((await orNone(this.#upper.stat(path, call))) !== null)
      await this.#upper.removeDirectory?.(path, call);
    if (below !== null) this.#whiteouts.add(path);
  }

  async #rename(from: string, to: string, call: ProviderCall): Promise<void> {
    const moved = await this.stat(from, call);
    const [belowFrom, belowTo] = [await this.#below(from, call), await this.#below(to, call)];
    if (moved.kind === "directory" && belowFrom !== null) throw systemError("EXDEV", from);
    const replaced = await orNone(this.stat(to, call));
    if (replaced !== null) {
      const [isDirectory, replacesOne] = [moved.kind === "directory", replaced.kind === "directory"];
      if (isDirectory && !replacesOne) throw systemError("ENOTDIR", to);
      if (!isDirectory && replacesOne) throw systemError("EISDIR", to);
      if (replacesOne && (await this.list(to, call)).length > 0) throw systemError("ENOTEMPTY", to);
    }
    await this.#copyUp(from, call);
    await this.#copyUp(above(to), call);
    await this.#upper.rename?.(from, to, call);
    if (belowFrom !== null) this.#whiteouts.add(from);
    // A directory that comes there does not show what the lower one has in its own.
    if (belowTo !== null) this.#whiteouts.add(to);
  }

  /** Sees to it that the upper one has a file, and the directories above it. @throws ENOENT */
  async #copyUp(path: string, call: ProviderCall): Promise<void> {
    if (path === "/") return;
    for (;;) {
      // A copy that others make may fail for a reason of theirs.
      await unlessAborted(this.#copies.get(path)?.catch(() => undefined) ?? Promise.resolve(), call.signal);
      if ((await orNone(this.#upper.stat(path, call))) !== null) return;
      if (this.#copies.has(path)) continue;
      // Given up, it is not waited for; and it does not come to its end then.
      const copy = unlessAborted(this.#copy(path, call), call.signal);
      this.#copies.set(path, copy);
      try {
        await copy;
        return;
      } finally {
        this.#copies.delete(path);
      }
    }
  }

  async #copy(path: string, call: ProviderCall): Promise<void> {
    const below = await this.#below(path, call);
    if (below === null) throw systemError("ENOENT", path);
    await this.#copyUp(above(path), call);
    await copyBetween(this.#lower, this.#upper, path, below, call);
  }
}

function above(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

function inside(directory: string, name: string): string {
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

function withoutId({ name, stat }: ProvidedEntry): ProvidedEntry {
  if (stat === undefined) return { name };
  const { id: _, ...rest } = stat;
  return { name, stat: rest };
}

/** What was asked for; null where there is nothing. */
async function orNone<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (linuxErrno(error) === noEntry) return null;
    throw error;
  }
}
