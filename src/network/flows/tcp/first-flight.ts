import type { TcpHandler } from "../../tcp/connection.ts";
import type { ClientHello } from "../../tls/client-hello-result.ts";
import { ClientHelloReader, clientHelloLimit } from "../../tls/client-hello.ts";

/** What the guest has said. `garbled`: what may be TLS, and gives no name that would be certain to be the one that a server reads. */
export type Said =
  | { readonly kind: "hello"; readonly hello: ClientHello }
  | { readonly kind: "silence" | "other" }
  | { readonly kind: "garbled"; readonly reason: string };

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
  /** The connection is over before anybody takes it. */
  closed(how: "closed" | "reset" | "timeout"): void;
}

/**
 * Looks at what the guest says first, for what a TLS client tells of itself (RFC 8446, 4.1.2), and keeps all of it for whoever comes next.
 * It is over with the hello, with the first byte that is no TLS, after 16 KiB, after some time, or when the guest ends its direction. Who has
 * said nothing in that time may wait for its server to speak first: then it is looked at when it does speak.
 *
 * What is kept is not used up, so that it is no more than the connection's window.
 */
export class FirstFlight implements TcpHandler {
  readonly #reader = new ClientHelloReader();
  readonly #timer: NodeJS.Timeout;
  readonly #listener: FirstFlightListener;
  #next: TcpHandler | null = null;
  #held: Buffer[] = [];
  #bytes = 0;
  #hasEnded = false;
  /** Nothing is looked for any more. */
  #isOver = false;
  #isLate = false;

  constructor(listener: FirstFlightListener, waitMs: number) {
    this.#listener = listener;
    this.#timer = setTimeout(() => {
      if (this.#bytes > 0) this.#finish({ kind: "garbled", reason: "no end of a ClientHello in time" });
      else {
        this.#isLate = true;
        listener.said({ kind: "silence" });
      }
    }, waitMs);
  }

  /** Takes everything from now on, and what was kept as soon as it may be passed on. */
  set next(next: TcpHandler) {
    this.#next = next;
    this.#flush();
  }

  cancel(): void {
    this.#isOver = true;
    this.#held = [];
    clearTimeout(this.#timer);
  }

  established(): void {
    this.#next?.established?.();
  }

  data(bytes: Buffer): void {
    if (this.#isOver && this.#next !== null) {
      this.#next.data(bytes);
      return;
    }
    this.#held.push(Buffer.from(bytes));
    if (this.#isOver) return;
    const said = this.#look(bytes);
    if (said !== null) this.#finish(said);
  }

  ended(): void {
    this.#hasEnded = true;
    if (this.#isOver) {
      this.#flush();
      return;
    }
    this.#finish(
      this.#bytes === 0
        ? { kind: "silence" }
        : { kind: "garbled", reason: "the end of a ClientHello is missing" },
    );
  }

  drained(): void {
    this.#next?.drained();
  }

  acknowledged(bytes: number): void {
    this.#next?.acknowledged(bytes);
  }

  closed(how: "closed" | "reset" | "timeout"): void {
    this.cancel();
    if (this.#next === null) this.#listener.closed(how);
    else this.#next.closed(how);
  }

  /** @returns null while that is not known */
  #look(bytes: Buffer): Said | null {
    const seen = this.#reader.push(bytes);
    this.#bytes += bytes.length;
    if (seen.kind === "hello") return { kind: "hello", hello: seen };
    if (seen.kind === "other") return { kind: "other" };
    if (seen.kind === "malformed") return { kind: "garbled", reason: seen.reason };
    if (this.#bytes < clientHelloLimit) return null;
    return { kind: "garbled", reason: "no end of a ClientHello within 16 KiB" };
  }

  #finish(said: Said): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (!this.#isLate) this.#listener.said(said);
    else if (!this.#listener.saidLate(said)) {
      this.cancel();
      return;
    }
    this.#flush();
  }

  #flush(): void {
    const next = this.#next;
    if (next === null || !this.#isOver) return;
    for (const bytes of this.#held.splice(0)) next.data(bytes);
    if (!this.#hasEnded) return;
    this.#hasEnded = false;
    next.ended();
  }
}
