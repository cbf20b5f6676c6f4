import { isMade, type ResponseVerdict } from "../../http/inspector.ts";
import type { HttpField } from "../../http/message.ts";
import { type ParsedResponse, parseResponse } from "../message/heads.ts";
import { Malformed } from "../message/malformed.ts";
import { MessageReader } from "../message/message-reader.ts";
import { writeResponseHead, writeTrailers } from "../message/write-head.ts";
import { type BodySink, dropped } from "./body-sinks.ts";
import { FirstWords } from "./first-words.ts";
import type { Exchange } from "./exchange.ts";
import { Lane } from "./lane.ts";
import { takenBy } from "./made-bodies.ts";
import { Truncated, type RelayContext, type ResponseSide } from "./relay-context.ts";
import {
  checkUpgrade,
  madeResponse,
  type MadeResponse,
  responseAsDecided,
  writeAnswer,
} from "./response-writing.ts";
import type { Source } from "./source.ts";

/** What servers say to a connection on which nothing has come for long (RFC 9110, 15.5.9). */
const timedOut = /^HTTP\/1\.[01] 408/;
/** For the rest of a body that another was sent in place of, in ms. */
const lateMs = 1000;
/** As long are first words kept that only a client of HTTP/2 is waiting for, in ms. */
const firstWordsMs = 5000;
const goOn = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");
const nothing: Buffer = Buffer.alloc(0);
const nothingMore = (): void => undefined;

/** Server to guest: responses in the order of their requests, with those that are ours among them. */
export class ResponseLane extends Lane implements ResponseSide {
  readonly #source: Source;
  readonly #reader: MessageReader<ParsedResponse>;
  readonly #firstWords = new FirstWords();
  /** `opening`: nothing was said yet that tells whether it is HTTP. `over`: nothing more is passed on. */
  #state: "opening" | "http" | "raw" | "over" = "opening";
  /** In `opening`: whether its first words are those of HTTP/2, and the guest has not spoken yet. */
  #mayBeHttp2 = true;
  #holdsSettings = false;
  #timer: NodeJS.Timeout | null = null;
  #sink: BodySink = dropped;
  /** What the head that was read last is about. */
  #head: "informs" | "upgrades" | "answers" = "answers";
  #owesContinue = false;
  #late: NodeJS.Timeout | null = null;
  #hasEnded = false;

  constructor(relay: RelayContext, source: Source) {
    super(relay);
    this.#source = source;
    this.#reader = new MessageReader((text) => parseResponse(text, this.#current().request.method));
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  take(bytes: Buffer): void {
    if (this.#state === "over" || this.relay.isOver) return;
    this.guard(() => {
      if (this.#state === "raw") this.relay.toGuest.push(bytes);
      else if (this.#state === "http") this.#reader.push(bytes);
      else this.#takeFirst(bytes);
    });
    this.pump();
  }

  end(): void {
    this.#hasEnded = true;
    this.pump();
  }

  pump(): void {
    if (this.relay.isOver) return;
    this.guard(() => {
      while (this.#step());
      if (this.#hasEnded && !this.isWaiting) this.#endOfServer();
      this.relay.toGuest.flush();
    });
    const isHeld = this.isWaiting || this.#holdsSettings || this.relay.toGuest.isFull;
    this.#source.isWanted = this.#state === "over" || !isHeld;
  }

  guestSpeaks(): void {
    this.#mayBeHttp2 = false;
    if (this.#timer === null) return;
    this.stop();
    this.#holdsSettings = false;
    this.take(nothing);
  }

  leave(): Buffer {
    this.stop();
    return this.#firstWords.rest();
  }

  /** Waits for nothing any more. */
  stop(): void {
    for (const timer of [this.#timer, this.#late]) if (timer !== null) clearTimeout(timer);
    this.#timer = null;
    this.#late = null;
  }

  answered(): void {
    this.#answerInTurn();
    this.pump();
  }

  continueInTurn(): void {
    this.#owesContinue = true;
    this.answered();
  }

  /** Who speaks before it was asked speaks HTTP/2 or no HTTP, and it is none if the guest speaks none. */
  #takeFirst(bytes: Buffer): void {
    const { kind, all } = this.#firstWords.push(bytes, this.#mayBeHttp2);
    if (kind === "more" || kind === "settings") {
      this.#holdsSettings = kind === "settings";
      if (this.#mayBeHttp2) this.#timer ??= setTimeout(() => this.guestSpeaks(), firstWordsMs);
    } else if (kind === "other") {
      this.stop();
      this.relay.requests.serverSpeaksOther();
      this.#state = "raw";
      this.relay.toGuest.push(all);
    } else {
      this.stop();
      if (this.relay.requests.isRaw) throw new Malformed("the server takes for HTTP what is none");
      this.#state = "http";
      this.#reader.push(all);
    }
  }

  /** @returns whether there may be more to do */
  #step(): boolean {
    if (this.#state === "http" && this.decide()) return true;
    if (this.isWaiting || this.#state !== "http") return false;
    if (this.relay.exchanges.length === 0) {
      if (!this.#reader.isBetweenMessages) this.#unsolicited(this.#reader.takeRest());
      return false;
    }
    const event = this.#reader.next();
    if (event === null) return false;
    if (event.kind === "head") this.#begin(event.head, event.raw);
    else if (event.kind === "body") this.goOnWith(this.#sink.push(event.bytes), nothingMore);
    else this.#end(event.trailers, event.raw);
    return true;
  }

  #unsolicited(bytes: Buffer): void {
    if (!timedOut.test(bytes.toString("latin1", 0, 12)))
      throw new Malformed("a response that nothing asked for");
    this.#finish();
  }

  #begin(parsed: ParsedResponse, raw: Buffer): void {
    const exchange = this.#current();
    const { status } = parsed.head;
    if (status < 200 && status !== 101) {
      this.#head = "informs";
      // Clients of HTTP/1.0 know nothing of these (RFC 9110, 15.2).
      if (exchange.request.version !== "1.0") this.#inform(exchange, parsed, raw);
      return;
    }
    if (status === 101) checkUpgrade(exchange, parsed);
    this.#head = status === 101 ? "upgrades" : "answers";
    const { framing } = parsed;
    const hasBody = framing.kind === "fixed" ? framing.length > 0 : framing.kind !== "none";
    const asked = this.relay.inspector.response(parsed.head, exchange.request, this.relay.asking(hasBody));
    this.goOnWith(asked, (said) => {
      if (said.kind !== "reading") this.#decided(exchange, parsed, raw, said);
      else {
        this.#sink = this.readFirst(said, (verdict) => this.#decided(exchange, parsed, raw, verdict));
        this.#reader.decodes = true;
      }
    });
  }

  #inform(exchange: Exchange, { head }: ParsedResponse, raw: Buffer): void {
    const fields = this.relay.inspector.responseFields(head.fields, exchange.request);
    this.relay.toGuest.push(fields === head.fields ? raw : writeResponseHead({ ...head, fields }, null));
  }

  #decided(exchange: Exchange, parsed: ParsedResponse, raw: Buffer, verdict: ResponseVerdict): void {
    if (exchange.expectsContinue && !exchange.hasBodyBegun && !exchange.isRequestWhole) {
      // Whether the body comes now, or the next request, is left to the client: nothing that it says is read as either.
      this.relay.requests.drop();
      exchange.closes = true;
      exchange.isCut = true;
    }
    const { body } = verdict;
    if (isMade(body)) this.#begunMade(madeResponse(this.relay.toGuest, exchange, parsed, verdict.head, body));
    else this.#sink = responseAsDecided(this.relay.toGuest, exchange, parsed, raw, verdict.head, body);
    this.#reader.decodes = this.#sink.decodes;
  }

  /** Whatever the server still says of its body goes to whoever makes this one. */
  #begunMade({ pouring, taker }: MadeResponse): void {
    const poured = pouring.run();
    const sink = takenBy(taker, (trailers) => {
      pouring.trailers = trailers;
      return poured;
    });
    this.#sink = sink;
    poured.then(
      () => {
        if (this.relay.isOver || this.#sink !== sink) return;
        // The guest has all of it. What the server still has to say is not waited for long.
        this.#late = setTimeout(() => this.guard(() => this.#finish()), lateMs);
      },
      (error: unknown) => this.relay.fail(error),
    );
  }

  #end(trailers: readonly HttpField[], raw: Buffer): void {
    if (this.#head === "informs") return;
    if (this.isReading) {
      this.goOnWith(this.#sink.end(raw), () => {
        this.decide();
        this.#end(trailers, raw);
      });
      return;
    }
    this.stop();
    let written = raw;
    if (trailers.length > 0) {
      const passed = this.relay.inspector.responseFields(trailers, this.#current().request);
      if (passed !== trailers) written = writeTrailers(passed);
    }
    const sink = this.#sink;
    this.#sink = dropped;
    this.goOnWith(sink.end(written), () => this.#ended());
  }

  #ended(): void {
    const exchange = this.#current();
    this.relay.exchanges.shift();
    if (this.#head === "upgrades") {
      this.#state = "raw";
      this.relay.toGuest.push(this.#reader.takeRest());
      this.relay.requests.upgraded(exchange.request);
    } else if (exchange.closes) this.#finish();
    else {
      this.#answerInTurn();
      this.relay.requests.pump();
    }
  }

  /** Those that are ours and have no other before them. */
  #answerInTurn(): void {
    const { exchanges, toGuest } = this.relay;
    for (
      let [next] = exchanges;
      next !== undefined && next.answer !== null && !this.isOver && !this.isWaiting;
      [next] = exchanges
    ) {
      const exchange = next;
      const written = writeAnswer(toGuest, exchange, next.answer);
      this.goOnWith(written, () => {
        exchanges.shift();
        if (exchange.closes) this.#finish();
        else if (written instanceof Promise) {
          this.#answerInTurn();
          this.relay.requests.pump();
        }
      });
    }
    if (exchanges.length > 0 || !this.#owesContinue) return;
    this.#owesContinue = false;
    toGuest.push(goOn);
  }

  #endOfServer(): void {
    if (this.#state === "over") return;
    if (this.#state === "opening") this.relay.toGuest.push(this.#firstWords.rest());
    else if (this.#state === "http") {
      if (this.#reader.endsWithConnection) {
        this.#end([], nothing);
        return;
      }
      if (!this.#reader.isBetweenMessages) throw new Truncated();
    }
    this.#finish();
  }

  /** The guest is told nothing more. */
  #finish(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.stop();
    this.relay.exchanges.length = 0;
    this.relay.toGuest.end();
    this.relay.requests.lastAnswered();
    this.relay.finished();
  }

  #current(): Exchange {
    const [exchange] = this.relay.exchanges;
    if (exchange === undefined) throw new Malformed("a response that nothing asked for");
    return exchange;
  }
}
