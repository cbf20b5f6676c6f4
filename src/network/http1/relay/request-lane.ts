import {
  type BodyFilter,
  isMade,
  type MadeBody,
  type PromptBodyFilter,
  type Reading,
  type RequestVerdict,
} from "../../http/inspector.ts";
import type { HttpField, RequestHead } from "../../http/message.ts";
import { upgradesOf, withoutUpgrade } from "../../http/upgrade.ts";
import { protocolOf } from "../message/first-bytes.ts";
import { checkRequestLine, type Framing, type ParsedRequest, parseRequest } from "../message/heads.ts";
import { maxHeldBodyBytes } from "../message/limits.ts";
import { Malformed } from "../message/malformed.ts";
import { MessageReader } from "../message/message-reader.ts";
import { RequestWatch } from "../message/request-watch.ts";
import { writeRequestHead, writeTrailers } from "../message/write-head.ts";
import { type BodySink, dropped, filtered, heldBack, passedOn, rechunked } from "./body-sinks.ts";
import { type Exchange, maxPipelined } from "./exchange.ts";
import { Lane } from "./lane.ts";
import { collected, framingOfMade, Pouring, takenBy } from "./made-bodies.ts";
import type { RelayContext, RequestSide } from "./relay-context.ts";
import type { Source } from "./source.ts";

/** So much of a body is read and dropped to keep the connection, in bytes. */
const maxDroppedBytes = 1024 * 1024;
/** As long may the first words be without a sign of what they are, in ms. */
const firstWordsMs = 5000;
/** Of what follows a request that somebody thinks about, in bytes. */
const mostReadAhead = 64 * 1024;
/** What goes on with requests, of which we would not read one (RFC 7540, 3.2; RFC 2817): it is not offered to the server. */
const hidesRequests = /^(?:h2c?|h3|http(?:\/.*)?|tls(?:\/.*)?|preconnect)$/;
/** In bytes, where secrets are put into a body: so much is looked at before it is asked whether the server takes more. */
const growingPiece = 4096;
/** So much may come of that before it is handed over, in bytes. */
const mostGrown = 64 * 1024;
const nothing: Buffer = Buffer.alloc(0);
const nothingMore = (): void => undefined;

/** Guest to server: requests, each as the inspector wants it. */
export class RequestLane extends Lane implements RequestSide {
  readonly #source: Source;
  readonly #reader = new MessageReader(parseRequest, {
    checkFirstLine: checkRequestLine,
    skipsEmptyLines: true,
  });
  readonly #watch = new RequestWatch();
  #raw: PromptBodyFilter | null = null;
  /** `opening`: it is not known what the guest speaks. `over`: what it says is dropped. */
  #state: "opening" | "http" | "raw" | "over" = "opening";
  /** In `opening`. */
  #first = nothing;
  #timer: NodeJS.Timeout | null = null;
  #isServerOther = false;
  /** Whose body is read; null: a head is next. */
  #exchange: Exchange | null = null;
  #sink: BodySink = dropped;
  /** What is sent of the body may be much longer than what came. */
  #grows = false;
  /** It may end HTTP: what comes after it is not read before its response. */
  #upgrading: Exchange | null = null;
  #isLastAnswered = false;
  #hasEnded = false;
  /** Somebody thinks about a request. */
  #isAsking = false;

  constructor(relay: RelayContext, source: Source) {
    super(relay);
    this.#source = source;
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  get isRaw(): boolean {
    return this.#state === "raw";
  }

  take(bytes: Buffer): void {
    if (this.#state === "over" || this.relay.isOver) return;
    this.guard(() => {
      if (this.#state === "raw") this.#passRaw(bytes);
      else if (this.#state === "http") this.#reader.push(bytes);
      else this.#takeFirst(bytes, false);
    });
    this.pump();
  }

  end(): void {
    this.#hasEnded = true;
    if (this.#state === "opening" && this.#first.length > 0) this.guard(() => this.#takeFirst(nothing, true));
    this.pump();
  }

  pump(): void {
    if (this.relay.isOver) return;
    this.guard(() => {
      while (this.#step());
      if (this.#hasEnded && !this.#isHeld) this.#finish();
      this.relay.toServer.flush();
    });
    const goesOn = !this.#isHeld && !this.relay.toServer.isFull;
    this.#source.isWanted = this.#state === "over" || goesOn || this.#listensForEnd;
  }

  /** Whoever thinks for long wants to hear that the guest is gone: a little is read ahead. */
  get #listensForEnd(): boolean {
    return this.#isAsking && !this.#hasEnded && this.#reader.waiting < mostReadAhead;
  }

  upgraded(request: RequestHead): void {
    this.#watch.end();
    this.guard(() => this.#beginRaw(request, this.#reader.takeRest()));
    this.pump();
  }

  lastAnswered(): void {
    this.#isLastAnswered = true;
    // What makes an answer that has ended needs nothing more.
    if (this.#state === "over" || this.#exchange === null || this.#exchange.answer !== null) this.#finish();
  }

  drop(): void {
    this.#state = "over";
    this.stop();
  }

  serverSpeaksOther(): void {
    // The request may still be with whoever decides about it.
    if (this.#state === "http") throw new Malformed("an answer that is no HTTP");
    this.#isServerOther = true;
    this.#watch.end();
  }

  /** Waits for nothing any more. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Something else has to come first. */
  get #isHeld(): boolean {
    if (this.#state === "over" || this.#state === "raw") return false;
    const { exchanges, toGuest, toServer } = this.relay;
    if (this.isWaiting) return true;
    if (this.#upgrading !== null && exchanges.at(-1) === this.#upgrading) return true;
    if (this.#grows && toServer.isFull) return true;
    return this.#exchange === null && (exchanges.length >= maxPipelined || toGuest.isFull);
  }

  /** @returns whether there may be more to do */
  #step(): boolean {
    if (this.#state === "http" && this.decide()) return true;
    if (this.#state !== "http" || this.#isHeld) return false;
    const event = this.#reader.next();
    if (event === null) return false;
    if (event.kind === "head") this.#ask(event.head, event.raw);
    else if (event.kind === "body") {
      if (this.#exchange !== null) this.#exchange.hasBodyBegun = true;
      this.goOnWith(this.#sink.push(event.bytes), nothingMore);
      if (this.#grows && this.relay.toServer.waiting > mostGrown) this.relay.toServer.flush();
    } else this.#end(event.trailers, event.raw);
    return true;
  }

  #takeFirst(bytes: Buffer, isLast: boolean): void {
    const all = this.#first.length === 0 ? bytes : Buffer.concat([this.#first, bytes]);
    const protocol = protocolOf(all, isLast);
    if (protocol === "more") {
      this.#first = Buffer.from(all);
      this.#timer ??= setTimeout(() => {
        this.guard(() => this.#takeFirst(nothing, true));
        this.pump();
      }, firstWordsMs);
      return;
    }
    this.stop();
    this.#first = nothing;
    if (protocol === "other") {
      this.#beginRaw(null, all);
      this.relay.responses.guestSpeaks();
    } else if (this.#isServerOther) throw new Malformed("a request to a server that speaks no HTTP");
    else if (protocol === "http2") this.relay.leaveToHttp2(all);
    else {
      this.#state = "http";
      this.#reader.push(all);
      this.relay.responses.guestSpeaks();
    }
  }

  #beginRaw(upgrade: RequestHead | null, first: Buffer): void {
    this.#state = "raw";
    this.#raw = this.relay.inspector.raw(upgrade);
    if (first.length > 0) this.#passRaw(first);
  }

  #passRaw(bytes: Buffer): void {
    this.#watch.look(bytes);
    for (const piece of this.#raw?.push(bytes) ?? []) this.relay.toServer.push(piece);
  }

  #ask(parsed: ParsedRequest, raw: Buffer): void {
    const offered =
      parsed.block.upgrade.length === 0
        ? parsed.head
        : withoutUpgrade(parsed.head, (protocol) => !hidesRequests.test(protocol));
    const asking = this.relay.asking(hasBody(parsed.framing));
    const asked = this.relay.inspector.request(offered, asking);
    this.#isAsking = asked instanceof Promise;
    this.goOnWith(asked, (said) => {
      this.#isAsking = false;
      if (said.kind !== "reading") this.#decided(parsed, raw, said);
      else if (this.#state !== "over") this.#readFirst(parsed, raw, said);
    });
  }

  #readFirst(parsed: ParsedRequest, raw: Buffer, reading: Reading<RequestVerdict>): void {
    const { block } = parsed;
    if (block.expectsContinue) this.relay.responses.continueInTurn();
    const told = { ...parsed, block: { ...block, expectsContinue: false } };
    this.#sink = this.readFirst(reading, (verdict) => this.#decided(told, raw, verdict));
    this.#reader.decodes = true;
  }

  #decided(parsed: ParsedRequest, raw: Buffer, verdict: RequestVerdict): void {
    if (this.#state === "over") {
      if (isMade(verdict.body)) verdict.body.cancel();
      return;
    }
    if (verdict.kind === "answer") this.#answer(parsed, verdict);
    else if (isMade(verdict.body)) this.#forwardMade(parsed, verdict.head, verdict.body);
    else {
      const isChanged = verdict.head !== parsed.head;
      this.#forward(parsed, verdict.head, isChanged ? null : raw, verdict.body);
    }
  }

  #answer(parsed: ParsedRequest, answer: RequestVerdict & { kind: "answer" }): void {
    const { framing, block } = parsed;
    const isShort =
      framing.kind === "none" || (framing.kind === "fixed" && framing.length <= maxDroppedBytes);
    const mayStay = isShort && (framing.kind === "none" || !block.expectsContinue);
    const taker = isMade(answer.body) ? answer.body.taker : null;
    if (taker !== null && block.expectsContinue) this.relay.responses.continueInTurn();
    const exchange = this.#begin(parsed, parsed.head, answer);
    exchange.isCut = !mayStay;
    exchange.closes ||= !mayStay;
    this.#sink = taker === null ? dropped : takenBy(taker, () => Promise.resolve());
    this.#reader.decodes = this.#sink.decodes;
    this.relay.exchanges.push(exchange);
    // Who makes the answer may do so of what is still to come.
    if (exchange.closes && taker === null) this.drop();
    this.relay.responses.answered();
  }

  /** @param raw null: the head has to be written anew */
  #forward(parsed: ParsedRequest, head: RequestHead, raw: Buffer | null, filter: BodyFilter | null): void {
    const { toServer, exchanges, responses } = this.relay;
    const { framing, block } = parsed;
    this.#grows = filter?.changesLength === true;
    if (this.#grows) this.#reader.mostPiece = growingPiece;
    const isHeldBack = filter?.changesLength === true && framing.kind !== "chunked";
    if (isHeldBack) {
      if (framing.kind === "fixed" && framing.length > maxHeldBodyBytes)
        throw new Malformed("a body too long to be changed");
      // The server learns of the request when its body is here already.
      const sent = block.expectsContinue ? { ...head, fields: withoutExpect(head.fields) } : head;
      // The inspector knows the request by the head that it gave.
      const exchange = this.#begin(parsed, head, null);
      this.#sink = heldBack(toServer, filter, (length) => {
        const isNone = framing.kind === "none" && length === 0;
        toServer.push(writeRequestHead(sent, isNone ? framing : { kind: "fixed", length }));
        exchanges.push(exchange);
      });
      if (block.expectsContinue && framing.kind !== "none") responses.continueInTurn();
    } else {
      toServer.push(raw ?? writeRequestHead(head, framing));
      exchanges.push(this.#begin(parsed, head, null));
      if (filter === null || framing.kind === "none") this.#sink = passedOn(toServer);
      else if (framing.kind === "chunked") this.#sink = rechunked(toServer, filter);
      else this.#sink = filtered(toServer, filter, framing.kind === "fixed" ? framing.length : null);
    }
    this.#reader.decodes = this.#sink.decodes;
  }

  /** Whatever the guest still sends of its body goes to whoever makes this one. */
  #forwardMade(parsed: ParsedRequest, head: RequestHead, made: MadeBody): void {
    const { toServer, exchanges, responses } = this.relay;
    const isNone = !hasBody(parsed.framing) && made.length === 0;
    const framing = isNone ? parsed.framing : framingOfMade(made, head.version);
    const sent = { ...head, fields: withoutExpect(head.fields) };
    if (parsed.block.expectsContinue) responses.continueInTurn();
    const exchange = this.#begin(parsed, head, null);
    exchange.expectsContinue = false;
    if (framing === "later") {
      const whole = collected(made).then((body) => {
        if (this.relay.isOver) return;
        toServer.push(writeRequestHead(sent, { kind: "fixed", length: body.length }));
        exchanges.push(exchange);
        toServer.push(body);
        toServer.flush();
      });
      this.#sink = takenBy(made.taker, () => whole);
      whole.catch((error: unknown) => this.relay.fail(error));
    } else {
      toServer.push(writeRequestHead(sent, framing));
      exchanges.push(exchange);
      const pouring = new Pouring(toServer, made, framing);
      const poured = pouring.run();
      this.#sink = takenBy(made.taker, (trailers) => {
        pouring.trailers = trailers;
        return poured;
      });
      poured.catch((error: unknown) => this.relay.fail(error));
    }
    this.#reader.decodes = true;
  }

  #begin(parsed: ParsedRequest, request: RequestHead, answer: Exchange["answer"]): Exchange {
    this.#exchange = {
      request,
      answer,
      upgrade: upgradesOf(request.fields),
      expectsContinue: parsed.block.expectsContinue,
      hasBodyBegun: false,
      isRequestWhole: false,
      closes: parsed.closes,
      isCut: false,
    };
    return this.#exchange;
  }

  #end(trailers: readonly HttpField[], raw: Buffer): void {
    if (this.isReading) {
      this.goOnWith(this.#sink.end(raw), () => {
        this.decide();
        this.#end(trailers, raw);
      });
      return;
    }
    const exchange = this.#exchange;
    if (exchange === null) return;
    let written = raw;
    if (trailers.length > 0 && exchange.answer === null) {
      const sent = this.relay.inspector.trailers(trailers, exchange.request);
      if (sent !== trailers) written = writeTrailers(sent);
    }
    const sink = this.#sink;
    this.#sink = dropped;
    this.#grows = false;
    this.goOnWith(sink.end(written), () => this.#ended(exchange));
  }

  #ended(exchange: Exchange): void {
    this.#exchange = null;
    exchange.isRequestWhole = true;
    if (this.#isLastAnswered) this.#finish();
    else if (exchange.closes) this.drop();
    else if (exchange.upgrade.length > 0 && exchange.answer === null) this.#upgrading = exchange;
  }

  /** The server is told nothing more. */
  #finish(): void {
    const wasRaw = this.#state === "raw";
    if (wasRaw) for (const piece of this.#raw?.end() ?? []) this.relay.toServer.push(piece);
    this.drop();
    this.relay.toServer.end();
    this.relay.finished();
  }
}

function hasBody(framing: Framing): boolean {
  return framing.kind === "fixed" ? framing.length > 0 : framing.kind !== "none";
}

function withoutExpect(fields: readonly HttpField[]): readonly HttpField[] {
  return fields.filter(([name]) => name.toLowerCase() !== "expect");
}
