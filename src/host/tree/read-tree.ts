import type { Dir, Dirent } from "node:fs";
import { opendir, type FileHandle } from "node:fs/promises";
import { IoError } from "../../errors/index.ts";
import { ioError } from "../system-error.ts";
import { HeldDirectory } from "../contained/held-directory.ts";
import { openEntry, type OpenEntry } from "./open-entry.ts";
import { ContentBuffers, readContent } from "./read-content.ts";
import { nameOf } from "./tree-path.ts";
import { shownPath, type TreeEvent, type TreeKind } from "./tree.ts";

export interface ReadTreeOptions {
  /** Follow the path that was named, when it is a link. */
  readonly followRoot?: boolean | undefined;
  /** Follow every link in the tree too. One that leads to a directory in which it is itself is an error. */
  readonly followAll?: boolean | undefined;
  /**
   * Read the contents of large files into the same few buffers again and again, so that they leave no garbage: what a batch has is there
   * until the next batch but two is asked for.
   */
  readonly recycle?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A batch is handed over when it has so many bytes of content, or so many events. */
const batchBytes = 256 * 1024;
const batchEvents = 256;
/** So many files of one directory are opened ahead. */
const entriesAhead = 8;

/** A directory that is being read. */
interface Level {
  readonly path: Buffer;
  readonly directory: HeldDirectory;
  readonly names: Dir;
  /** Which directory it is, to find links that lead in a circle. */
  readonly identity: string;
  readonly ahead: { readonly path: Buffer; readonly opening: Promise<OpenEntry> }[];
  ended: boolean;
}

/**
 * Reads a file, a link, or a directory with all that is in it, in the order that `TreeEvent` describes. Links are entries, not
 * followed unless asked for, and whoever replaces a directory by a link meanwhile leads nobody out (see {@link HeldDirectory}).
 * Memory grows with the depth of the tree only. The entries of a directory come as the system lists them, in no order.
 *
 * A file that grows meanwhile is read up to the size that it had.
 *
 * @param path a path of the host; in bytes when it is no UTF-8
 * @returns batches of events
 * @throws IoError when something cannot be read, or a file becomes shorter while it is read; the signal's reason
 *
 * @example
 * ```ts
 * for await (const events of readTree("/etc/ssl", { followRoot: true })) {
 *   for (const event of events) if (event.type === "entry") console.log(shownPath(event.entry.path));
 * }
 * ```
 */
export async function* readTree(
  path: string | Buffer,
  options: ReadTreeOptions = {},
): AsyncGenerator<TreeEvent[]> {
  let batch: TreeEvent[] = [];
  let bytes = 0;
  for await (const event of new TreeReader(path, options).events()) {
    batch.push(event);
    if (event.type === "data") bytes += event.bytes.length;
    if (bytes < batchBytes && batch.length < batchEvents) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

class TreeReader {
  readonly #path: Buffer;
  readonly #options: ReadTreeOptions;
  readonly #levels: Level[] = [];
  readonly #buffers: ContentBuffers;
  /** What is read now, for errors. */
  #at: Uint8Array = Buffer.alloc(0);

  constructor(path: string | Buffer, options: ReadTreeOptions) {
    this.#path = typeof path === "string" ? Buffer.from(path) : path;
    this.#options = options;
    this.#buffers = new ContentBuffers(options.recycle === true);
  }

  async *events(): AsyncGenerator<TreeEvent> {
    const { followRoot = false, followAll = false } = this.#options;
    try {
      const path = this.#path;
      yield* this.#read(await openEntry(path, Buffer.alloc(0), followRoot || followAll), path);
      for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
        const next = await this.#next(level);
        if (next !== undefined) yield* this.#read(next, level.directory.at(nameOf(next.entry.path)));
        else await close(this.#levels.pop());
      }
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      const root = shownPath(this.#path);
      throw failed(this.#at.length === 0 ? root : `${root}/${shownPath(this.#at)}`, error);
    } finally {
      while (this.#levels.length > 0) await close(this.#levels.pop());
    }
  }

  async *#read({ entry, sparse, content, handle }: OpenEntry, path: Buffer): AsyncGenerator<TreeEvent> {
    this.#at = entry.path;
    let isHeld = false;
    try {
      this.#options.signal?.throwIfAborted();
      yield { type: "entry", entry };
      if (content !== null && content.length > 0) yield { type: "data", bytes: content };
      if (handle === null) return;
      if (entry.kind === "file") {
        for await (const event of readContent(handle, entry.size, sparse, this.#buffers)) {
          yield event;
          this.#options.signal?.throwIfAborted();
        }
      } else {
        // It closes the handle when it fails.
        isHeld = true;
        await this.#enter(handle, path, entry.path);
      }
    } finally {
      if (!isHeld) await handle?.close();
    }
  }

  async #enter(handle: FileHandle, path: Buffer, treePath: Uint8Array): Promise<void> {
    const directory = await HeldDirectory.hold(handle, path);
    try {
      const { dev, ino } = await handle.stat({ bigint: true });
      const identity = `${dev}:${ino}`;
      if (this.#options.followAll === true && this.#levels.some((level) => level.identity === identity)) {
        throw new IoError("a link leads back to a directory in which it is", {
          hint: "Copy without following links, or leave out this one.",
        });
      }
      // Names are bytes. Node's types do not know that they can be had here, too.
      const options = { encoding: "buffer" as BufferEncoding, bufferSize: 256 };
      const names = await opendir(directory.at("."), options);
      this.#levels.push({ path: Buffer.from(treePath), directory, names, identity, ahead: [], ended: false });
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  /** The next entry of a directory. Files and links are opened ahead: most of the time goes into waiting for the system. */
  async #next(level: Level): Promise<OpenEntry | undefined> {
    const { ahead, directory, names } = level;
    while (!level.ended && ahead.length < entriesAhead) {
      const dirent = (await names.read()) as unknown as Dirent<Buffer> | null;
      if (dirent === null) {
        level.ended = true;
        break;
      }
      const kind = kindOf(dirent);
      const path = join(level.path, dirent.name);
      const opening = openEntry(directory.at(dirent.name), path, this.#options.followAll === true, kind);
      opening.catch(() => undefined);
      ahead.push({ path, opening });
      // It takes a descriptor, which one that is read ahead of its turn does not.
      if (kind === "directory") break;
    }
    const next = ahead.shift();
    if (next === undefined) return undefined;
    this.#at = next.path;
    return await next.opening;
  }
}

async function close(level: Level | undefined): Promise<void> {
  if (level === undefined) return;
  const opened = await Promise.allSettled(level.ahead.map(({ opening }) => opening));
  const handles = opened.map((entry) => (entry.status === "fulfilled" ? entry.value.handle : null));
  for (const closable of [...handles, level.names, level.directory]) {
    await closable?.close().catch(() => undefined);
  }
}

/** What the system says of it without looking at it; some file systems do not say. */
function kindOf(dirent: Dirent<Buffer>): TreeKind | undefined {
  if (dirent.isFile()) return "file";
  if (dirent.isDirectory()) return "directory";
  return dirent.isSymbolicLink() ? "symlink" : undefined;
}

function join(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, Buffer.from("/"), name]);
}

function failed(path: string, error: unknown): Error {
  if (!(error instanceof IoError)) return ioError(`read ${path}`, error, "userFile");
  return new IoError(`cannot read ${path}: ${error.message}`, { hint: error.hint });
}
