import type { Readable } from "node:stream";
import { ImageError, IoError } from "../../../errors/index.ts";
import type { TreeEntry, TreeEvent } from "../../../host/tree/tree.ts";
import { deepest } from "../../../host/tree/tree-path.ts";
import { errorCode } from "../../../host/system-error.ts";
import { decompress } from "../../../image/import/decompress.ts";
import { componentsOf } from "../../../image/import/entry-path.ts";
import type { TarEntry } from "../../../image/tar/entry.ts";
import { TarReader } from "../../../image/tar/reader.ts";
import type { LinkEvent } from "../../fs/copy/tree-sender.ts";
import { ProblemList } from "../copy-problem.ts";
import { SparseContent } from "./sparse-content.ts";

/** Archives have hard links, trees of the host do not. */
export type ArchiveEvent = TreeEvent | LinkEvent;

/** Linux: a link's target has fewer bytes. */
const maximumTargetBytes = 4096;
const none = Buffer.alloc(0);

/**
 * A tar archive as a tree, for a directory into which it is to be unpacked. Names are taken from there: an absolute one too, and
 * one that leads out by `..` is refused. Directories that the archive leaves out are put in. Devices and pipes are refused.
 */
export class ArchiveReader {
  readonly #reader: TarReader;
  #events: ArchiveEvent[] = [];
  /** The directories that the last entry was in, which were told of. */
  #way: readonly string[] = [];
  #content: SparseContent | null = null;
  /** What is not told of as it was. */
  readonly problems = new ProblemList();

  constructor() {
    this.#reader = new TarReader({
      entry: (entry) => this.#entry(entry),
      data: (bytes) => this.#events.push(...(this.#content?.data(bytes) ?? [])),
      finish: () => this.#events.push(...(this.#content?.finish() ?? [])),
    });
  }

  /**
   * The tree in batches; its data are parts of what was read.
   *
   * @param source the archive as it is, or compressed by gzip or zstd
   * @throws IoError when it is no tar archive, or not whole
   */
  async *read(source: Readable): AsyncGenerator<readonly ArchiveEvent[], void, undefined> {
    yield [{ type: "entry", entry: directory("") }];
    try {
      for await (const chunk of decompress(source)) {
        this.#reader.push(chunk);
        yield* this.#take();
      }
      this.#reader.end();
    } catch (error) {
      throw isArchiveFault(error)
        ? new IoError(`the archive cannot be read: ${error.message}`, {
            hint: "Give a tar archive, as it is or compressed by gzip or zstd: tar c . | msb cp - NAME:/dir",
            cause: error,
          })
        : error;
    }
    yield* this.#take();
  }

  *#take(): Generator<readonly ArchiveEvent[], void, undefined> {
    if (this.#events.length === 0) return;
    const events = this.#events;
    this.#events = [];
    yield events;
  }

  #entry(entry: TarEntry): void {
    this.#content = null;
    try {
      const names = checkedNames(entry.name);
      const isDirectory = entry.type === "directory";
      this.#goTo(names.slice(0, -1));
      this.#tell(entry, names);
      if (isDirectory) this.#way = names;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      this.problems.add({ path: Buffer.from(entry.name, "latin1"), message: error.message });
    }
  }

  /** Tells of the directories on the way that were not the last entry's. */
  #goTo(names: readonly string[]): void {
    const common = names.findIndex((name, index) => name !== this.#way[index]);
    for (let count = common < 0 ? names.length : common; count < names.length; count++) {
      this.#events.push({ type: "entry", entry: directory(names.slice(0, count + 1).join("/")) });
    }
    this.#way = names;
  }

  #tell(entry: TarEntry, names: readonly string[]): void {
    const path = Buffer.from(names.join("/"), "latin1");
    const { type, mode, uid, gid, size } = entry;
    const mtimeNs = BigInt.asIntN(64, BigInt(entry.seconds) * 1_000_000_000n + BigInt(entry.nanoseconds));
    const told = { path, mode, uid, gid, mtimeNs, size: 0, target: none };
    // The place itself is there, and stays as it is.
    if (names.length === 0 && type === "directory") return;
    if (names.length === 0) throw new ImageError("its name is that of the directory itself");
    switch (type) {
      case "file":
        this.#events.push({ type: "entry", entry: { ...told, kind: "file", size } });
        this.#content = new SparseContent(size, entry.sparse);
        return;
      case "directory":
        this.#events.push({ type: "entry", entry: { ...told, kind: "directory" } });
        return;
      case "symlink": {
        const target = Buffer.from(entry.linkName, "latin1");
        const isOne = target.length > 0 && target.length < maximumTargetBytes && !target.includes(0);
        if (!isOne) throw new ImageError("its target is none that a link can have");
        this.#events.push({ type: "entry", entry: { ...told, kind: "symlink", target } });
        return;
      }
      case "hardLink": {
        const target = Buffer.from(checkedNames(entry.linkName).join("/"), "latin1");
        this.#events.push({ type: "link", path, target });
        return;
      }
      case "characterDevice":
      case "blockDevice":
      case "fifo":
        throw new ImageError("it is a device or a pipe");
    }
  }
}

function isArchiveFault(error: unknown): error is Error {
  return error instanceof ImageError || /^(Z_|ZSTD_|ERR_ZSTD)/.test(errorCode(error) ?? "");
}

/** The parts of a name, which lead nowhere but below the root. @throws ImageError */
function checkedNames(name: string): string[] {
  const names = componentsOf(name);
  if (names.length > deepest) throw new ImageError(`it is deeper than ${deepest} directories`);
  return names;
}

/** One that the archive does not tell of. */
function directory(path: string): TreeEntry {
  const mtimeNs = BigInt(Date.now()) * 1_000_000n;
  const bytes = Buffer.from(path, "latin1");
  return { path: bytes, kind: "directory", mode: 0o755, uid: 0, gid: 0, mtimeNs, size: 0, target: none };
}
