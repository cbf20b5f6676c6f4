import type { TcpHandler } from "../../tcp/connection.ts";
import { ClientHelloReader, clientHelloLimit } from "../../tls/client-hello.ts";

/** Programs that wait for their server to speak first lose as much time, once. */
const waitMs = 5000;
/** What the guest has said. `garbled`: what may be TLS, and gives no name that would be certain to be the one that a server reads. */
export type Said = { readonly kind: "name"; readonly name: string } | { readonly kind: "none" | "garbled" };

/**
 * Looks at what the guest says first, for the name that TLS gives away (SNI, RFC 6066, 3), while all of it is kept for whoever comes
 * next. It is over with the name, with the first byte that is no TLS, after 16 KiB, after 5 s, or when the guest ends its direction.
 */
export class FirstFlight implements TcpHandler {
  readonly #next: TcpHandler;
  readonly #reader = new ClientHelloReader();
  readonly #timer: NodeJS.Timeout;
  readonly #done: (said: Said) => void;
  #bytes = 0;
  #isOver = false;

  /** @param next is told everything, from the beginning */
  constructor(next: TcpHandler, done: (said: Said) => void) {
    this.#next = next;
    this.#done = done;
    this.#timer = setTimeout(() => this.#finish(this.#soFar()), waitMs);
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
    const seen = this.#reader.push(bytes);
    this.#bytes += bytes.length;
    if (seen.kind === "hello")
      this.#finish(seen.name === null ? { kind: "none" } : { kind: "name", name: seen.name });
    else if (seen.kind === "other") this.#finish({ kind: "none" });
    else if (seen.kind === "malformed" || this.#bytes >= clientHelloLimit) this.#finish({ kind: "garbled" });
  }

  ended(): void {
    this.#next.ended();
    this.#finish(this.#soFar());
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

  #soFar(): Said {
    return { kind: this.#bytes === 0 ? "none" : "garbled" };
  }

  #finish(said: Said): void {
    if (this.#isOver) return;
    this.cancel();
    this.#done(said);
  }
}
