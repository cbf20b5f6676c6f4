import {
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import {
  type Asking,
  Blocked,
  type BodyFilter,
  type BodyTaker,
  type Inspector,
  isMade,
  type MadeBody,
  type RequestVerdict,
} from "../http/inspector.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { BodyPump } from "./body-pump.ts";
import {
  fieldsOf,
  hasNoBody,
  outgoingFields,
  outgoingRequest,
  outgoingResponse,
  refusedAfterBody,
  refusedIn,
  requestHeadOf,
  type Scheme,
  withLength,
  withoutLength,
} from "./heads.ts";
import { BodyFeed, pour } from "./made-bodies.ts";

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

/** After so many ms it is looked again whether the end of a stream was sent. */
const unsentMs = 20;

/** So many frames may wait for a guest before it is told no more of what only informs. */
const mostUntaken = 100;

export interface StreamRelayOptions {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  /** The request has no body. */
  readonly isEnded: boolean;
  readonly server: ClientHttp2Session;
  readonly scheme: Scheme;
  readonly inspector: Inspector;
  /** The inspector has failed, not the guest. */
  readonly failed: (error: unknown) => void;
}

/** One request and its response. Each of both ends by itself; who breaks off, breaks off both. */
export class StreamRelay {
  readonly #options: StreamRelayOptions;
  readonly #guest: ServerHttp2Stream;
  #server: ClientHttp2Stream | null = null;
  /** They may come while the inspector is still thinking. */
  #requestTrailers: readonly string[] = [];
  #responseTrailers: readonly string[] = [];
  /** Of the response. null: none was begun. */
  #source: { readonly isComplete: boolean } | null = null;
  /** The guest has another response than the server's, which is not read any more. */
  #isReplaced = false;
  /** The inspector has the head of the response. */
  #isDeciding = false;
  /** All of the response was passed on. */
  #isAnswered = false;
  /** It was told something before the response. */
  #isInformed = false;
  #isOver = false;

  constructor(options: StreamRelayOptions) {
    this.#options = options;
    this.#guest = options.stream;
  }

  begin(): void {
    const { headers, raw } = this.#options;
    const guest = this.#guest;
    guest.pause();
    guest.on("error", () => undefined);
    guest.on("trailers", (_headers: unknown, _flags: unknown, trailers: readonly string[]) => {
      this.#requestTrailers = trailers;
    });
    guest.on("close", () => this.#guestClosed());
    const head = requestHeadOf(headers, raw, this.#options.scheme);
    if ("malformed" in head) {
      this.#fail(this.#options.inspector.malformed(head.malformed));
      return;
    }
    this.#ask(head).catch((error: unknown) => this.#fail(error));
  }

  async #ask(head: RequestHead): Promise<void> {
    const { inspector, isEnded } = this.#options;
    const guest = this.#guest;
    const said = await inspector.request(head, this.#asking(!isEnded));
    let feed: BodyFeed | null = null;
    if (said.kind === "reading") feed = this.#feed(guest, said.taker);
    const verdict = said.kind === "reading" ? await said.verdict : said;
    if (guest.destroyed || guest.closed) {
      if (isMade(verdict.body)) verdict.body.cancel();
    } else if (verdict.kind === "forward") this.#forward(verdict, feed);
    else if (isMade(verdict.body)) await this.#answerMade(verdict.head, verdict.body, feed);
    else {
      const isBodyless = hasNoBody(verdict.head.status, head.method);
      guest.respond(outgoingResponse(verdict.head));
      // What is left of the request is not waited for (RFC 9113, 8.1).
      guest.end(isBodyless ? "" : verdict.body, () => {
        if (!isEnded) guest.close(NGHTTP2_NO_ERROR);
      });
    }
  }

  async #answerMade(head: ResponseHead, made: MadeBody, feed: BodyFeed | null): Promise<void> {
    const guest = this.#guest;
    if (hasNoBody(head.status, this.#options.headers[":method"])) {
      made.cancel();
      guest.respond(outgoingResponse(head), { endStream: true });
    } else {
      guest.respond(outgoingResponse(withLength(head, made)));
      if (feed === null) this.#feed(guest, made.taker);
      await pour(made, guest);
    }
    if (!this.#options.isEnded && !guest.readableEnded) guest.close(NGHTTP2_NO_ERROR);
  }

  #forward(verdict: RequestVerdict & { kind: "forward" }, feed: BodyFeed | null): void {
    const { server, isEnded, scheme } = this.#options;
    const guest = this.#guest;
    const made = isMade(verdict.body) ? verdict.body : null;
    const filter = isMade(verdict.body) ? null : verdict.body;
    if (server.destroyed || server.closed) {
      made?.cancel();
      // Nothing of it was sent: the guest may ask again, elsewhere (RFC 9113, 8.7).
      guest.close(NGHTTP2_REFUSED_STREAM);
      return;
    }
    const sent = made === null ? verdict.head : withLength(verdict.head, made);
    const endStream = made === null ? isEnded && filter === null : isEnded && made.length === 0;
    const upstream = server.request(outgoingRequest(sent, scheme), {
      endStream,
      waitForTrailers: true,
    });
    this.#server = upstream;
    this.#trailers(upstream, verdict.head);
    if (made !== null) {
      if (feed === null) this.#feed(guest, made.taker);
      if (endStream) made.cancel();
      else pour(made, upstream).catch((error: unknown) => this.#fail(error));
    } else {
      if (!endStream) new BodyPump(guest, upstream, filter, (error) => this.#fail(error)).begin();
      guest.resume();
    }
    this.#response(upstream, verdict.head);
  }

  #trailers(upstream: ClientHttp2Stream, head: RequestHead): void {
    upstream.on("wantTrailers", () => {
      this.#guarded(() => {
        const trailers = fieldsOf(this.#requestTrailers);
        this.#refuse(refusedAfterBody(trailers));
        const fields = trailers.length === 0 ? [] : this.#options.inspector.trailers(trailers, head);
        upstream.sendTrailers(outgoingFields(fields));
      });
    });
  }

  #response(upstream: ClientHttp2Stream, request: RequestHead): void {
    const { inspector } = this.#options;
    const guest = this.#guest;
    upstream.pause();
    upstream.on("error", () => undefined);
    upstream.on("trailers", (_headers: unknown, _flags: unknown, trailers: readonly string[]) => {
      this.#responseTrailers = trailers;
    });
    upstream.on("close", () => this.#serverClosed(upstream));
    upstream.on("headers", (headers: IncomingHttpHeaders, _flags: unknown, raw: readonly string[]) => {
      this.#guarded(() => {
        if (guest.headersSent || guest.destroyed || !this.#mayInform()) return;
        const fields = inspector.responseFields(fieldsOf(raw), request);
        guest.additionalHeaders(outgoingResponse({ status: Number(headers[":status"]), fields }));
      });
    });
    upstream.on("response", (headers, flags, raw: readonly string[]) => {
      const isEnded = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      const answer = async (): Promise<void> => {
        const head = { status: headers[":status"] ?? 0, fields: fieldsOf(raw) };
        this.#refuse(refusedIn(head.fields));
        const said = await inspector.response(head, request, this.#asking(!isEnded));
        let feed: BodyFeed | null = null;
        if (said.kind === "reading") feed = this.#feed(upstream, said.taker);
        const verdict = said.kind === "reading" ? await said.verdict : said;
        if (guest.destroyed || guest.closed) {
          if (isMade(verdict.body)) verdict.body.cancel();
          return;
        }
        guest.on("wantTrailers", () => {
          this.#guarded(() => {
            const trailers = fieldsOf(this.#responseTrailers);
            this.#refuse(refusedAfterBody(trailers));
            const fields = trailers.length === 0 ? [] : inspector.responseFields(trailers, request);
            guest.sendTrailers(outgoingFields(fields));
            this.#isAnswered = true;
            this.#endEarly();
          });
        });
        if (isMade(verdict.body)) {
          const made = this.#respondMade(upstream, request, verdict.head, verdict.body, feed);
          made.catch((error: unknown) => this.#fail(error));
        } else this.#respond(upstream, verdict.head, verdict.body, isEnded);
      };
      this.#isDeciding = true;
      answer()
        .then(() => {
          this.#isDeciding = false;
          if (upstream.closed && upstream.destroyed) this.#serverClosed(upstream);
        })
        .catch((error: unknown) => this.#fail(error));
    });
  }

  /** Heads have no windows: a guest that takes nothing is told once that an answer is on its way, and for the rest has to take it. */
  #mayInform(): boolean {
    const session = this.#guest.session;
    if (session === undefined || session.destroyed) return false;
    const isFirst = !this.#isInformed;
    this.#isInformed = true;
    return isFirst || (session.state.outboundQueueSize ?? 0) < mostUntaken;
  }

  /** @throws Blocked when there is a reason to */
  #refuse(reason: string | null): void {
    if (reason !== null) throw this.#options.inspector.malformed(reason);
  }

  #respond(upstream: ClientHttp2Stream, head: ResponseHead, body: BodyFilter | null, isEnded: boolean): void {
    const guest = this.#guest;
    const hasBody = !isEnded || body !== null;
    const sent = body?.changesLength === true ? withoutLength(head) : head;
    guest.respond(outgoingResponse(sent), { endStream: !hasBody, waitForTrailers: hasBody });
    if (hasBody) {
      const pump = new BodyPump(upstream, guest, body, (error) => this.#fail(error));
      this.#source = pump;
      pump.begin();
    } else this.#isAnswered = true;
    upstream.resume();
  }

  async #respondMade(
    upstream: ClientHttp2Stream,
    request: RequestHead,
    head: ResponseHead,
    made: MadeBody,
    before: BodyFeed | null,
  ): Promise<void> {
    const guest = this.#guest;
    const feed = before ?? this.#feed(upstream, made.taker);
    this.#source = feed;
    if (hasNoBody(head.status, request.method)) {
      made.cancel();
      guest.respond(outgoingResponse(head), { endStream: true });
      this.#isAnswered = true;
    } else {
      guest.respond(outgoingResponse(withLength(head, made)), { waitForTrailers: true });
      await pour(made, guest);
    }
    if (feed.isComplete || upstream.destroyed) return;
    // The guest has all of it: whatever the server still says is for nobody.
    this.#isReplaced = true;
    upstream.close(NGHTTP2_CANCEL);
  }

  #feed(from: ServerHttp2Stream | ClientHttp2Stream, taker: BodyTaker | null): BodyFeed {
    const feed = new BodyFeed(from, taker, (error) => this.#fail(error));
    feed.begin();
    return feed;
  }

  #asking(hasBody: boolean): Asking {
    const guest = this.#guest;
    return {
      hasBody,
      whenGone: (gone) => {
        if (guest.destroyed) gone();
        else guest.once("close", gone);
        return () => guest.off("close", gone);
      },
    };
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Nothing more of it goes anywhere. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const isBlocked = error instanceof Blocked;
    const code = isBlocked ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR;
    this.#server?.close(NGHTTP2_CANCEL);
    // A stream is not over before what came of it is read, and a session not before its streams.
    this.#server?.resume();
    this.#guest.close(code);
    this.#guest.resume();
    if (isBlocked || hasEnded(error)) return;
    if (isUnsendable(error)) this.#options.inspector.malformed(`HTTP/2 cannot say it: ${error.code}`);
    else this.#options.failed(error);
  }

  /** Whatever the server still says goes nowhere. */
  #guestClosed(): void {
    this.#isOver = true;
    const upstream = this.#server;
    if (upstream === null || upstream.destroyed || upstream.closed) return;
    const code = this.#guest.rstCode;
    // It has ended in order when both directions have.
    upstream.close(code === NGHTTP2_NO_ERROR ? NGHTTP2_CANCEL : code);
    upstream.resume();
  }

  #serverClosed(upstream: ClientHttp2Stream): void {
    const guest = this.#guest;
    if (guest.destroyed || guest.closed) return;
    if (this.#isReplaced) {
      this.#endEarly();
      return;
    }
    const code = upstream.rstCode;
    // It may have answered before the request has ended, and not care for the rest.
    if (this.#isDeciding && code === NGHTTP2_NO_ERROR) return;
    if (code !== NGHTTP2_NO_ERROR || (!this.#isAnswered && this.#source?.isComplete !== true)) {
      this.#isOver = true;
      guest.close(code === NGHTTP2_NO_ERROR ? NGHTTP2_INTERNAL_ERROR : code);
    } else this.#endEarly();
  }

  /** A response that came early: what is left of the request is not waited for (RFC 9113, 8.1). */
  #endEarly(): void {
    const guest = this.#guest;
    if (!this.#isAnswered || this.#server?.closed !== true || guest.readableEnded || guest.destroyed) return;
    // What waits to be sent of a stream, such as trailers, would go with it, and nobody tells when it was.
    const close = (): void => {
      if (guest.destroyed) return;
      if (guest.state.localClose === 1) guest.close(NGHTTP2_NO_ERROR);
      else setTimeout(close, unsentMs);
    };
    setImmediate(close);
  }
}

/** Node says so of a stream, or a session, that has ended meanwhile. */
function hasEnded(error: unknown): boolean {
  return /^ERR_HTTP2_(?:(?:INVALID|GOAWAY)_SESSION|INVALID_STREAM|STREAM_|SESSION_|HEADERS_|TRAILERS_|OUT_OF)/.test(
    codeOf(error),
  );
}

/** Node says so of what the other side has said, and it does not say itself: such as a status above 599. */
function isUnsendable(error: unknown): error is NodeJS.ErrnoException {
  return codeOf(error).startsWith("ERR_HTTP2_");
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code ?? "";
}
