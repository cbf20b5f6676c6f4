/** In ms, as the fields below. RFC 6298 begins with a second as well. */
const initialTimeout = 1000;
/** A guest in emulation on a busy host is often late by some tenths of a second, and almost nothing is ever lost. */
const leastTimeout = 500;
const mostTimeout = 60_000;

/** How long to wait for an acknowledgment: RFC 6298. */
export class RoundTrip {
  #smoothed = -1;
  #variation = 0;
  #timeout = initialTimeout;

  /** RTO: doubled with each time that it passed in vain. */
  get timeout(): number {
    return this.#timeout;
  }

  /** @param time between a segment that was sent once and its acknowledgment */
  sample(time: number): void {
    if (this.#smoothed < 0) {
      this.#smoothed = time;
      this.#variation = time / 2;
    } else {
      this.#variation += (Math.abs(this.#smoothed - time) - this.#variation) / 4;
      this.#smoothed += (time - this.#smoothed) / 8;
    }
    this.restore();
  }

  /** RFC 6298, 5.5. */
  backOff(): void {
    this.#timeout = Math.min(this.#timeout * 2, mostTimeout);
  }

  /** Something was acknowledged: waits as long as before again. */
  restore(): void {
    if (this.#smoothed < 0) this.#timeout = initialTimeout;
    else this.#timeout = Math.min(Math.max(this.#smoothed + 4 * this.#variation, leastTimeout), mostTimeout);
  }
}
