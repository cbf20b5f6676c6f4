/** Dynamic ports (RFC 6335, 6): the guest sees whoever comes in at one of the gateway's. */
const first = 49_152;
const count = 16_384;

/** Hands out the gateway's ports in turn, so that one that was used comes again as late as it can. */
export class SourcePorts {
  readonly #used = new Set<number>();
  #next = 0;

  /** @returns null when all are in use */
  take(): number | null {
    if (this.#used.size >= count) return null;
    for (;;) {
      const port = first + this.#next;
      this.#next = (this.#next + 1) % count;
      if (this.#used.has(port)) continue;
      this.#used.add(port);
      return port;
    }
  }

  release(port: number): void {
    this.#used.delete(port);
  }
}
