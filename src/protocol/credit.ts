/**
 * Flow control. Each direction of a stream starts with `INITIAL_CREDIT` bytes that its sender may send; after that the sender waits for
 * `Credit` messages, which the receiver sends as it passes the bytes on. So a reader that stops reading holds one window of its own
 * stream, and nothing else. Only the payload of data frames counts, data and extra together. `stream.ts` uses both classes.
 */

import type { ProtocolError } from "../errors/index.ts";
import { CREDIT_PORTIONS, INITIAL_CREDIT } from "./generated/limits.ts";
import { violation } from "./violation.ts";

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** The sender's side of one direction of a stream. */
export class SendCredit {
  readonly #size: number;
  #available: number;
  /** Why the direction has ended. */
  #closed: string | null = null;
  readonly #waiters = new Set<Waiter>();

  /** @param initial - Bytes. @param available - What is left of them. */
  constructor(initial: number = INITIAL_CREDIT, available = initial) {
    this.#size = initial;
    this.#available = available;
  }

  /** Bytes that may be sent now. */
  get available(): number {
    return this.#available;
  }

  /**
   * Takes up to `wanted` bytes of credit and returns how many were there: 0 when there is none.
   *
   * @throws Error with what `close` was called with, once the direction is closed.
   */
  take(wanted: number): number {
    if (this.#closed !== null) throw new Error(this.#closed);
    if (!Number.isInteger(wanted) || wanted < 0)
      throw new RangeError(`cannot take ${wanted} bytes of credit`);
    const taken = Math.min(wanted, this.#available);
    this.#available -= taken;
    return taken;
  }

  /**
   * Adds the credit of a `Credit` message and wakes who waits for it. After `close` it does nothing: such messages may cross the end.
   *
   * @param bytes - A u32, as decoded.
   * @throws ProtocolError for more than was sent: no correct receiver grants what it did not take
   */
  grant(bytes: number): void {
    if (this.#closed !== null) return;
    if (bytes < 1 || this.#available + bytes > this.#size) {
      throw violation(`credit that was never earned: ${bytes} bytes on top of ${this.#available}`);
    }
    this.#available += bytes;
    this.#wake((waiter) => waiter.resolve());
  }

  /**
   * Waits until there is credit. Several may wait: each has to look at what `take` returns, because another may have been first.
   *
   * @throws Error with what `close` was called with; the signal's reason.
   */
  async wait(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#closed !== null) throw new Error(this.#closed);
    if (this.#available > 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter: Waiter = { resolve: () => resolve(undefined), reject };
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#waiters.add(waiter);
    try {
      await promise;
    } finally {
      this.#waiters.delete(waiter);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends the direction: everyone who waits, takes or waits later gets an error that says why. Only the first call counts. */
  close(reason: string): void {
    if (this.#closed !== null) return;
    this.#closed = reason;
    // An error for each, and none when nobody waits: it takes longer than all else that a short stream does.
    this.#wake((waiter) => waiter.reject(new Error(reason)));
  }

  #wake(tell: (waiter: Waiter) => void): void {
    if (this.#waiters.size === 0) return;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    waiters.forEach(tell);
  }
}

/** The receiver's side of one direction of a stream: holds the peer to its credit and says when to grant more. */
export class ReceiveWindow {
  readonly #size: number;
  /** Bytes that the peer may still send. */
  #remaining: number;
  /** Bytes received and not passed on. */
  #held = 0;
  /** Bytes passed on and not granted again. */
  #owed = 0;

  /** @param size - Bytes; the credit the peer starts with. @param remaining - What is left of it; the rest is held. */
  constructor(size: number = INITIAL_CREDIT, remaining = size) {
    this.#size = size;
    this.#remaining = remaining;
    this.#held = size - remaining;
  }

  /** Bytes that the peer may still send. */
  get remaining(): number {
    return this.#remaining;
  }

  /** Bytes received that `consume` has not been called for. */
  get held(): number {
    return this.#held;
  }

  /** Counts bytes that arrived. @throws ProtocolError when the peer had no credit for them. */
  receive(bytes: number): void {
    if (bytes > this.#remaining) throw this.#exceeded(bytes);
    this.#remaining -= bytes;
    this.#held += bytes;
  }

  /**
   * Counts bytes that were passed on, or dropped for good.
   *
   * @returns How many bytes to grant to the peer now; 0 until a quarter of the window has come together, so that small reads do not
   *   cost a message each.
   */
  consume(bytes: number): number {
    if (bytes < 0 || bytes > this.#held) {
      throw new RangeError(`cannot consume ${bytes} bytes: ${this.#held} are held`);
    }
    this.#held -= bytes;
    this.#owed += bytes;
    if (this.#owed * CREDIT_PORTIONS < this.#size) return 0;
    const grant = this.#owed;
    this.#owed = 0;
    this.#remaining += grant;
    return grant;
  }

  #exceeded(bytes: number): ProtocolError {
    return violation(`more than its credit: ${bytes} bytes with credit for ${this.#remaining}`);
  }
}
