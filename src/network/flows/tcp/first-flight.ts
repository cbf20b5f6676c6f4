import type { TcpHandler } from "../../tcp/connection.ts";
import { ClientHelloReader } from "../../tls/client-hello.ts";

/** Programs that wait for their server to speak first lose as much time, once. */
const waitMs = 5000;
/** A ClientHello with keys of post-quantum algorithms has some 2 KB. */
const maxBytes = 16 * 1024;

/**
 * Looks at what the guest says first, for the name that TLS gives away (SNI, RFC 6066, 3), while all of it is kept for whoever comes
 * next. It is over with the name, with the first byte that is no TLS, after 16 KiB, after 5 s, or when the guest ends its direction.
 */
export class FirstFlight implements TcpHandler {
  readonly #next: TcpHandler;
  readonly #reader = new ClientHelloReader();
  readonly #timer: NodeJS.Timeout;
  readonly #done: (sni: string | null) => void;
  #bytes = 0;
  #isOver = false;

  /** @param next is told everything, from the beginning */
  constructor(next: TcpHandler, done: (sni: string | null) => void) {
    this.#next = next;
    this.#done = done;
    this.#timer = setTimeout(() => this.#finish(null), waitMs);
  }

  cancel(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  established(): void {
    this.#next.established?.();
  }

  data(bytes: Buffer): void {
    this.#next.data(bytes);
    if (this.#isOver) return;
    const seen = this.#reader.push(bytes.subarray(0, maxBytes - this.#bytes));
    this.#bytes += bytes.length;
    if (seen.kind === "hello") this.#finish(seen.name);
    else if (seen.kind === "other" || this.#bytes >= maxBytes) this.#finish(null);
  }

  ended(): void {
    this.#next.ended();
    this.#finish(null);
  }

  drained(): void {
    this.#next.drained();
  }

  acknowledged(bytes: number): void {
    this.#next.acknowledged(bytes);
  }

  closed(how: "closed" | "reset" | "timeout"): void {
    this.cancel();
    this.#next.closed(how);
  }

  #finish(sni: string | null): void {
    if (this.#isOver) return;
    this.cancel();
    this.#done(sni);
  }
}
