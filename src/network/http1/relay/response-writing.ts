import {
  type BodyFilter,
  type BodyTaker,
  isMade,
  type MadeBody,
  type MaybePromise,
} from "../../http/inspector.ts";
import type { ResponseHead } from "../../http/message.ts";
import { type Framing, neverHasBody, type ParsedResponse } from "../message/heads.ts";
import { Malformed } from "../message/malformed.ts";
import { withClose, writeResponseHead } from "../message/write-head.ts";
import { type BodySink, filtered, passedOn, rechunked } from "./body-sinks.ts";
import type { Answer, Exchange } from "./exchange.ts";
import { framingOfMade, Pouring } from "./made-bodies.ts";
import type { Outlet } from "./outlet.ts";

/** @throws Malformed when the server changes to what it was not asked for, or before it could know all of the request */
export function checkUpgrade(exchange: Exchange, { block }: ParsedResponse): void {
  if (!exchange.isRequestWhole) throw new Malformed("another protocol before the end of the request");
  const asked = new Set(exchange.upgrade);
  const isAsked = block.upgrade.length > 0 && block.upgrade.every((name) => asked.has(name));
  if (!isAsked) throw new Malformed("a change to a protocol that was not asked for");
}

/**
 * Writes the head of a response, as it was written where that is possible.
 *
 * @returns where its body goes
 */
export function responseAsDecided(
  toGuest: Outlet,
  exchange: Exchange,
  parsed: ParsedResponse,
  raw: Buffer,
  head: ResponseHead,
  body: BodyFilter | null,
): BodySink {
  checkStatus(parsed.head.status, head.status);
  const filter = parsed.framing.kind === "none" ? null : body;
  let { framing } = parsed;
  if (filter?.changesLength === true && framing.kind === "fixed")
    framing = { kind: exchange.request.version === "1.0" ? "until-close" : "chunked" };
  exchange.closes ||= parsed.closes || framing.kind === "until-close";
  if (head === parsed.head && framing === parsed.framing && !exchange.isCut) toGuest.push(raw);
  else {
    const closes = exchange.closes && head.status !== 101;
    const fields = closes ? withClose(head.fields) : head.fields;
    // A body that there was none of is empty now.
    const isEmpty =
      framing.kind === "none" && !neverHasBody(head.status) && exchange.request.method !== "HEAD";
    const written = isEmpty ? ({ kind: "fixed", length: 0 } as const) : framing;
    toGuest.push(writeResponseHead({ ...head, fields }, written.kind === "none" ? null : written));
  }
  if (filter === null) return passedOn(toGuest);
  if (framing.kind === "chunked") return rechunked(toGuest, filter, parsed.framing.kind === "chunked");
  return filtered(toGuest, filter, framing.kind === "fixed" ? framing.length : null);
}

export interface MadeResponse {
  readonly pouring: Pouring;
  /** Of the server's own body. */
  readonly taker: BodyTaker | null;
}

/** Writes the head of a response whose body somebody makes. */
export function madeResponse(
  toGuest: Outlet,
  exchange: Exchange,
  parsed: ParsedResponse,
  head: ResponseHead,
  made: MadeBody,
): MadeResponse {
  if ((parsed.head.status === 101) !== (head.status === 101))
    throw new Malformed("a status was changed that is about the connection");
  const framing = beginMade(
    toGuest,
    exchange,
    head,
    made,
    parsed.closes || parsed.framing.kind === "until-close",
  );
  return { pouring: new Pouring(toGuest, made, framing), taker: made.taker };
}

/** @returns how the body is written */
function beginMade(
  toGuest: Outlet,
  exchange: Exchange,
  head: ResponseHead,
  made: MadeBody,
  closes: boolean,
): Framing {
  const ofMade = framingOfMade(made, exchange.request.version);
  const framing: Framing =
    ofMade !== "later" ? ofMade : { kind: exchange.request.version === "1.0" ? "until-close" : "chunked" };
  const isBodyless = neverHasBody(head.status) || exchange.request.method === "HEAD";
  exchange.closes ||= closes || (!isBodyless && framing.kind === "until-close");
  const fields = exchange.closes && head.status !== 101 ? withClose(head.fields) : head.fields;
  const written = neverHasBody(head.status) ? ({ kind: "none" } as const) : isBodyless ? null : framing;
  toGuest.push(writeResponseHead({ ...head, fields }, written));
  return isBodyless ? { kind: "none" } : framing;
}

/** Writes a response of our own. @returns settles when all of it is written */
export function writeAnswer(toGuest: Outlet, exchange: Exchange, { head, body }: Answer): MaybePromise<void> {
  if (isMade(body)) {
    const framing = beginMade(toGuest, exchange, head, body, false);
    toGuest.flush();
    return new Pouring(toGuest, body, framing).run();
  }
  const fields = exchange.closes ? withClose(head.fields) : head.fields;
  const isNone = neverHasBody(head.status);
  const framing: Framing = isNone ? { kind: "none" } : { kind: "fixed", length: body.length };
  toGuest.push(writeResponseHead({ ...head, fields }, framing));
  if (exchange.request.method !== "HEAD" && !isNone) toGuest.push(body);
}

function checkStatus(was: number, is: number): void {
  if (was === is) return;
  if (was === 101 || (neverHasBody(is) && !neverHasBody(was)))
    throw new Malformed("a status was changed to one that the body does not go with");
}
