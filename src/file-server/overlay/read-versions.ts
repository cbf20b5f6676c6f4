/** Paths that are remembered. The one that was read longest ago is forgotten first. */
const mostPaths = 1 << 16;

/**
 * Which state of the host's files the guest has read, by path: what it writes over another state it has not seen. Not by file, because
 * editors put a new file in the place of the old one.
 */
export class ReadVersions {
  readonly #read = new Map<string, bigint>();

  /** @param ctimeNs time of the host's file's last change */
  note(path: string, ctimeNs: bigint): void {
    this.#read.delete(path);
    this.#read.set(path, ctimeNs);
    if (this.#read.size <= mostPaths) return;
    for (const oldest of this.#read.keys()) {
      this.#read.delete(oldest);
      break;
    }
  }

  /** Whether the guest may have read another state than this one. */
  hasOther(path: string, ctimeNs: bigint): boolean {
    const read = this.#read.get(path);
    return read !== undefined && read !== ctimeNs;
  }
}
