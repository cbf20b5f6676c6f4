import type { TreeEntry } from "../../../host/tree/tree.ts";
import { tarEnd, tarHeader, tarPadding } from "../../../image/tar/writer.ts";
import { problemOf, type CopyEvent } from "../copy-end.ts";
import { ProblemList } from "../copy-problem.ts";
import { TreeOrder } from "./tree-order.ts";

/** Small entries are gathered until there are so many bytes. */
const gatheredBytes = 128 * 1024;
/** What is written of a hole at a time. */
const zeros = Buffer.alloc(256 * 1024);

/** Where an archive goes. Resolves when there is room for more. */
export type WriteBytes = (bytes: Uint8Array) => Promise<void>;

/**
 * Makes a tar archive of a tree as it comes. Owners and modes are those of the tree. Holes are written out: an archive has to say
 * where they are before the file, when nobody knows yet.
 */
export class ArchiveWriter {
  readonly #write: WriteBytes;
  readonly #root: Buffer;
  #gathered: Uint8Array[] = [];
  #bytes = 0;
  /** How many of them, the first ones, are no memory of whoever gave them. */
  #own = 0;
  /** Bytes of the present file that are still to come, and the zeros after it. */
  #left = 0;
  #padding: Uint8Array = Buffer.alloc(0);
  readonly #order = new TreeOrder();
  #isLeftOut = false;
  readonly problems = new ProblemList();

  /** @param root name of the tree's root in the archive; `.` for what is to be unpacked in place */
  constructor(write: WriteBytes, root: string) {
    this.#write = write;
    this.#root = Buffer.from(root);
  }

  /** Takes what comes next of the tree. The bytes are the caller's again when this resolves. */
  async write(events: readonly CopyEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === "entry") this.#entry(event.entry);
      else if (event.type === "data") this.#content(event.bytes);
      else if (event.type === "hole") await this.#hole(event.length);
      else {
        this.problems.add(problemOf(event.problem));
        // Its size is written already, so something has to follow: zeros, as of GNU tar.
        if (!this.#isLeftOut) await this.#hole(this.#left);
      }
      if (this.#bytes >= gatheredBytes) await this.#flush();
    }
    for (; this.#own < this.#gathered.length; this.#own++)
      this.#gathered[this.#own] = Buffer.from(this.#gathered[this.#own] ?? []);
  }

  /** Writes the archive's end. */
  async finish(): Promise<void> {
    this.#gather(tarEnd);
    await this.#flush();
  }

  #entry(entry: TreeEntry): void {
    const { kind, mode, uid, gid, mtimeNs, target } = entry;
    // Of all others it is what they take in the guest, and nothing follows.
    const size = kind === "file" ? entry.size : 0;
    this.#left = size;
    this.#padding = tarPadding(size);
    const fault = this.#order.fault(entry);
    this.#isLeftOut = fault !== null || kind === "other";
    if (fault !== null || kind === "other") {
      const message = fault ?? "it is a device, a pipe or a socket";
      this.problems.add({ path: Buffer.from(entry.path), message });
      return;
    }
    const slash = entry.path.length === 0 ? "" : "/";
    const end = kind === "directory" ? "/" : "";
    const name = Buffer.concat([this.#root, Buffer.from(slash), entry.path, Buffer.from(end)]);
    const linkName = kind === "symlink" ? target : undefined;
    this.#gather(tarHeader({ name, type: kind, mode, uid, gid, size, mtimeNs, linkName }));
  }

  #content(bytes: Uint8Array): void {
    if (this.#isLeftOut) return;
    this.#gather(bytes);
    this.#left -= bytes.length;
    if (this.#left === 0) this.#gather(this.#padding);
  }

  async #hole(length: number): Promise<void> {
    for (let rest = length; rest > 0;) {
      const part = zeros.subarray(0, rest);
      this.#content(part);
      rest -= part.length;
      await this.#flush();
    }
  }

  #gather(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#gathered.push(bytes);
    this.#bytes += bytes.length;
  }

  async #flush(): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#bytes = 0;
    this.#own = 0;
    if (gathered.length > 0) await this.#write(Buffer.concat(gathered));
  }
}
