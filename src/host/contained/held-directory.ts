import { constants } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";

/** Not followed when it is a link, and nothing but a directory. */
const directoryItself = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * A directory that is held by its descriptor, and whose entries are named through it: whatever is renamed or replaced by a link
 * above it meanwhile, its entries stay those of this directory. Node has no openat(2); this is what comes closest:
 *
 * - Linux: `/proc/self/fd/N/name`.
 * - macOS: `/.vol/DEVICE/INODE/name`, on volumes that know it.
 * - Elsewhere: the path by which it was opened. Each part was no link when it was opened, but somebody who can write in a
 *   directory above may replace it after that.
 *
 * The last part of a name is the caller's matter: he must use calls, or flags (`O_NOFOLLOW`), that do not follow it.
 */
export class HeldDirectory {
  readonly handle: FileHandle;
  readonly #prefix: Buffer;

  protected constructor(handle: FileHandle, prefix: Buffer) {
    this.handle = handle;
    this.#prefix = prefix;
  }

  /** Opens a directory that a user named: links on the way to it are followed. @throws the system's error */
  static async open(path: string | Buffer): Promise<HeldDirectory> {
    return await this.hold(await open(path, constants.O_RDONLY | constants.O_DIRECTORY), path);
  }

  /** Takes a directory that is open; it is closed with this. @param path by which it was opened */
  static async hold(handle: FileHandle, path: string | Buffer): Promise<HeldDirectory> {
    try {
      return new this(handle, await prefixOf(handle, path));
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** The path of an entry, for one call. @param name one part of a path, without `/` */
  at(name: Uint8Array | string): Buffer {
    return Buffer.concat([this.#prefix, typeof name === "string" ? Buffer.from(name) : name]);
  }

  /** Opens a directory that is in this one. @throws the system's error: ENOTDIR or ELOOP when it is none, or a link to one */
  async openChild(name: Uint8Array): Promise<HeldDirectory> {
    const path = this.at(name);
    return await (this.constructor as typeof HeldDirectory).hold(await open(path, directoryItself), path);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

async function prefixOf(handle: FileHandle, path: string | Buffer): Promise<Buffer> {
  const prefix = process.platform === "darwin" ? await volumePrefix(handle) : `/proc/self/fd/${handle.fd}/`;
  if (await isUsable(prefix, handle)) return Buffer.from(prefix);
  return Buffer.concat([Buffer.from(path), Buffer.from("/")]);
}

async function volumePrefix(handle: FileHandle): Promise<string> {
  const { dev, ino } = await handle.stat({ bigint: true });
  return `/.vol/${dev}/${ino}/`;
}

/** Linux: what works for one descriptor works for all. */
let procIsThere = false;

async function isUsable(prefix: string, handle: FileHandle): Promise<boolean> {
  if (procIsThere) return true;
  const [found, held] = await Promise.all([
    // The directory itself: one that may be read and not searched has no `.` for us.
    stat(prefix.slice(0, -1), { bigint: true }).catch(() => null),
    handle.stat({ bigint: true }),
  ]);
  const usable = found !== null && found.dev === held.dev && found.ino === held.ino;
  procIsThere = usable && process.platform === "linux";
  return usable;
}
