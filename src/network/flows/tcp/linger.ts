/** In ms: as long may a guest take nothing of what is left for it, once the other end is gone. */
export const lingerMs = 60_000;

/**
 * Waits for a guest to take what is left for it, when nobody else waits for that any more. A guest can keep its window closed for ever
 * (RFC 9293, 3.8.6.1), and would have the memory without a connection that counts.
 */
export class Linger {
  readonly #expired: () => void;
  #timer: NodeJS.Timeout | null = null;

  /** @param expired the guest has taken nothing for {@link lingerMs} */
  constructor(expired: () => void) {
    this.#expired = expired;
  }

  get isBegun(): boolean {
    return this.#timer !== null;
  }

  begin(): void {
    this.#timer ??= setTimeout(this.#expired, lingerMs).unref();
  }

  /** The guest has taken something. */
  progress(): void {
    if (this.#timer === null) return;
    this.end();
    this.begin();
  }

  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
