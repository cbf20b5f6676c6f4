import type { TcpHandler } from "../../tcp/connection.ts";
import { startOf, type Start } from "../../http/start.ts";

/** Who has begun to say something, and says no more, is waited for as long, in ms. */
const waitMs = 5000;

/**
 * Looks at how a connection begins that is to no port where TLS is intercepted, and keeps what the guest says until that is known. Whose
 * server speaks first does not wait: the guest's words are then what such a server takes.
 */
export class PlainStart implements TcpHandler {
  readonly #decided: (start: Start) => TcpHandler | null;
  readonly #gone: (how: "closed" | "reset" | "timeout") => void;
  #next: TcpHandler | null = null;
  #held: Buffer[] = [];
  #isDecided = false;
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param decided called once; takes everything from the beginning on. null: it was given up
   * @param gone called when the connection is over before
   */
  constructor(
    decided: (start: Start) => TcpHandler | null,
    gone: (how: "closed" | "reset" | "timeout") => void,
  ) {
    this.#decided = decided;
    this.#gone = gone;
  }

  /** The server has said something, or ended. */
  serverSpoke(): void {
    this.#decide("other");
  }

  /** Nobody is told anything any more. */
  cancel(): void {
    this.#isDecided = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  data(bytes: Buffer): void {
    if (this.#next !== null) {
      this.#next.data(bytes);
      return;
    }
    if (this.#isDecided) return;
    this.#held.push(Buffer.from(bytes));
    const start = startOf(this.#held.length === 1 ? bytes : Buffer.concat(this.#held));
    if (start !== null) this.#decide(start);
    else this.#timer ??= setTimeout(() => this.#decide("other"), waitMs);
  }

  ended(): void {
    this.#decide("other");
    this.#next?.ended();
  }

  drained(): void {
    this.#next?.drained();
  }

  acknowledged(bytes: number): void {
    this.#next?.acknowledged(bytes);
  }

  closed(how: "closed" | "reset" | "timeout"): void {
    this.cancel();
    if (this.#next === null) this.#gone(how);
    else this.#next.closed(how);
  }

  #decide(start: Start): void {
    if (this.#isDecided) return;
    this.cancel();
    const next = this.#decided(start);
    this.#next = next;
    for (const bytes of this.#held.splice(0)) next?.data(bytes);
  }
}
