import type { TcpHandler } from "../../tcp/connection.ts";
import { ClientHelloReader, clientHelloLimit } from "../../tls/client-hello.ts";

/** Programs that wait for their server to speak first lose as much time, once. */
const waitMs = 5000;
/** What the guest has said. `garbled`: what may be TLS, and gives no name that would be certain to be the one that a server reads. */
export type Said = { readonly kind: "name"; readonly name: string } | { readonly kind: "none" | "garbled" };

/** Who is told what the guest says first. */
export interface FirstFlightListener {
  /** Called once. */
  said(what: Said): void;
  /**
   * Called when the guest had said nothing in time, {@link said} was told so, and it speaks now: nothing of it is passed on before.
   *
   * @returns whether it is
   */
  saidLate(what: Said): boolean;
}

/**
 * Looks at what the guest says first, for the name that TLS gives away (SNI, RFC 6066, 3), while all of it is kept for whoever comes
 * next. It is over with the name, with the first byte that is no TLS, after 16 KiB, after 5 s, or when the guest ends its direction. Who has
 * said nothing in these 5 s may wait for its server to speak first: then it is looked at when it does speak.
 */
export class FirstFlight implements TcpHandler {
  readonly #next: TcpHandler;
  readonly #reader = new ClientHelloReader();
  readonly #timer: NodeJS.Timeout;
  readonly #listener: FirstFlightListener;
  #bytes = 0;
  #isOver = false;
  /** Said too late, and not passed on; null while it is not late. */
  #held: Buffer[] | null = null;

  /** @param next is told everything, from the beginning */
  constructor(next: TcpHandler, listener: FirstFlightListener) {
    this.#next = next;
    this.#listener = listener;
    this.#timer = setTimeout(() => {
      if (this.#bytes === 0) {
        this.#held = [];
        listener.said({ kind: "none" });
      } else this.#finish({ kind: "garbled" });
    }, waitMs);
  }

  cancel(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  established(): void {
    this.#next.established?.();
  }

  data(bytes: Buffer): void {
    if (this.#held === null || this.#isOver) this.#next.data(bytes);
    else this.#held.push(Buffer.from(bytes));
    if (this.#isOver) return;
    const said = this.#look(bytes);
    if (said !== null) this.#finish(said);
  }

  ended(): void {
    if (this.#held === null) this.#next.ended();
    this.#finish({ kind: this.#bytes === 0 ? "none" : "garbled" });
    if (this.#held !== null) this.#next.ended();
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

  /** @returns null while that is not known */
  #look(bytes: Buffer): Said | null {
    const seen = this.#reader.push(bytes);
    this.#bytes += bytes.length;
    if (seen.kind === "hello")
      return seen.name === null ? { kind: "none" } : { kind: "name", name: seen.name };
    if (seen.kind === "other") return { kind: "none" };
    return seen.kind === "malformed" || this.#bytes >= clientHelloLimit ? { kind: "garbled" } : null;
  }

  #finish(said: Said): void {
    if (this.#isOver) return;
    this.cancel();
    if (this.#held === null) {
      this.#listener.said(said);
      return;
    }
    const held = this.#held.splice(0);
    if (this.#listener.saidLate(said)) for (const bytes of held) this.#next.data(bytes);
  }
}
