import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { type Asking, Blocked, type Inspector } from "../../http/inspector.ts";
import { Malformed } from "../message/malformed.ts";
import type { Exchange } from "./exchange.ts";
import { Outlet } from "./outlet.ts";
import { Truncated, type RelayContext } from "./relay-context.ts";
import { RequestLane } from "./request-lane.ts";
import { ResponseLane } from "./response-lane.ts";
import { Source } from "./source.ts";

/** In ms: as long may one end take nothing of what is left for it, or not close, once there is nothing more to say. */
const lingerMs = 60_000;

export interface Http1Connection {
  /** Both may end one direction before the other: they are open to that (`allowHalfOpen`), paused, and nobody reads them. */
  readonly guest: Duplex;
  readonly server: Duplex;
  readonly inspector: Inspector;
  /** What was read of it already. */
  readonly fromGuest?: Buffer;
}

/** How a connection came to its end. */
export type Http1End =
  /** Both ends have closed, in order, or one has broken off. */
  | { readonly kind: "closed" | "reset" }
  /** Broken off by us. The inspector knows why, unless it or we have failed: then `error` is not null. */
  | { readonly kind: "blocked"; readonly error: unknown }
  /** Nothing was passed on: the guest speaks HTTP/2. Both are open, paused and nobody's. */
  | { readonly kind: "http2"; readonly fromGuest: Buffer; readonly fromServer: Buffer };

/**
 * Passes HTTP/1 on between a guest and a server, request by request, as an inspector wants it; and what is no HTTP as it is. What the
 * inspector does not change is passed on byte for byte. What could be read in two ways is not passed on (RFC 9112, 11.2).
 *
 * @returns settles when both ends are closed; it never rejects. Destroy either end to break off.
 */
export function relayHttp1(connection: Http1Connection): Promise<Http1End> {
  return new Promise((resolve) => new Relay(connection, resolve).begin());
}

class Relay implements RelayContext {
  readonly inspector: Inspector;
  readonly toServer: Outlet;
  readonly toGuest: Outlet;
  readonly exchanges: Exchange[] = [];
  readonly requests: RequestLane;
  readonly responses: ResponseLane;
  readonly #guest: Duplex;
  readonly #server: Duplex;
  readonly #sources: readonly [Source, Source];
  readonly #fromGuest: Buffer | undefined;
  readonly #listeners: [Duplex, string, () => void][] = [];
  readonly #over: (end: Http1End) => void;
  readonly #whenGone = new Set<() => void>();
  #linger: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor({ guest, server, inspector, fromGuest }: Http1Connection, over: (end: Http1End) => void) {
    this.#guest = guest;
    this.#server = server;
    this.#fromGuest = fromGuest;
    this.#over = over;
    this.inspector = inspector;
    this.toServer = new Outlet(server);
    this.toGuest = new Outlet(guest);
    this.#sources = [new Source(guest), new Source(server)];
    this.requests = new RequestLane(this, this.#sources[0]);
    this.responses = new ResponseLane(this, this.#sources[1]);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isLeavable(): boolean {
    return this.#whenGone.size > 0;
  }

  begin(): void {
    const [fromGuest, fromServer] = this.#sources;
    this.#listen(this.#guest, () => {
      // Without TLS a client may say that it has no more requests, and wait; in TLS nobody does that (RFC 8446, 6.1).
      if (this.#guest instanceof TLSSocket && this.isLeavable) this.#breakOff({ kind: "reset" });
      else this.requests.end();
    });
    this.#listen(this.#server, () => this.responses.end());
    if (this.#guest.destroyed || this.#server.destroyed) {
      this.#breakOff({ kind: "reset" });
      return;
    }
    fromServer.begin((bytes) => this.responses.take(bytes));
    fromGuest.begin((bytes) => this.requests.take(bytes));
    if (this.#fromGuest !== undefined && this.#fromGuest.length > 0) this.requests.take(this.#fromGuest);
    if (this.#guest.readableEnded) this.requests.end();
    if (this.#server.readableEnded) this.responses.end();
  }

  asking(hasBody: boolean): Asking {
    return {
      hasBody,
      whenGone: (gone) => {
        this.#whenGone.add(gone);
        return () => this.#whenGone.delete(gone);
      },
    };
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    if (error instanceof Truncated) this.#breakOff({ kind: "reset" });
    else if (error instanceof Malformed) {
      this.#breakOff({ kind: "blocked", error: null }, () => this.inspector.malformed(error.message));
    } else this.#breakOff({ kind: "blocked", error: error instanceof Blocked ? null : error });
  }

  finished(): void {
    if (this.#isOver || !this.requests.isOver || !this.responses.isOver) return;
    this.#linger ??= setTimeout(() => this.#breakOff({ kind: "reset" }), lingerMs);
    if (this.#guest.closed && this.#server.closed) this.#finish({ kind: "closed" });
  }

  leaveToHttp2(fromGuest: Buffer): void {
    for (const source of this.#sources) source.leave();
    for (const [end, event, listener] of this.#listeners) end.removeListener(event, listener);
    this.#finish({ kind: "http2", fromGuest, fromServer: this.responses.leave() });
  }

  #listen(end: Duplex, ended: () => void): void {
    const on = (event: string, listener: () => void): void => {
      end.on(event, listener);
      this.#listeners.push([end, event, listener]);
    };
    on("end", ended);
    on("drain", () => {
      this.#linger?.refresh();
      this.requests.pump();
      this.responses.pump();
    });
    on("error", () => this.#gone(end));
    on("close", () => this.#gone(end));
  }

  /** One end cannot be told anything any more, and says nothing. */
  #gone(end: Duplex): void {
    if (this.#isOver) return;
    const isLastWordSaid = end === this.#guest ? this.requests.isOver : this.responses.isOver;
    const isToldAll = end.writableFinished;
    if (end === this.#server && this.responses.isOver) this.requests.lastAnswered();
    else if (!isLastWordSaid || !isToldAll) {
      this.#breakOff({ kind: "reset" });
      return;
    }
    if (this.#guest.closed && this.#server.closed) this.#finish({ kind: "closed" });
    else this.finished();
  }

  /** @param tell is called when both are broken off: it can do no harm any more */
  #breakOff(how: Http1End, tell: () => void = () => undefined): void {
    if (this.#isOver) return;
    breakOff(this.#guest);
    breakOff(this.#server);
    let end = how;
    try {
      tell();
    } catch (error) {
      end = { kind: "blocked", error };
    }
    this.#finish(end);
  }

  #finish(how: Http1End): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.requests.stop();
    this.responses.stop();
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.exchanges.length = 0;
    for (const gone of this.#whenGone) gone();
    this.#whenGone.clear();
    this.#over(how);
  }
}

function breakOff(end: Duplex): void {
  if (end.destroyed) return;
  // TLS has no way to say it but to close without a word.
  if (end instanceof Socket && !(end instanceof TLSSocket)) {
    try {
      end.resetAndDestroy();
      return;
    } catch {
      // No TCP.
    }
  }
  end.destroy();
}
