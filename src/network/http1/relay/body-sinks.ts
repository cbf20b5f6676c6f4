import type { BodyFilter, MaybePromise } from "../../http/inspector.ts";
import { maxHeldBodyBytes } from "../message/limits.ts";
import { Malformed } from "../message/malformed.ts";
import type { Outlet } from "./outlet.ts";

/** Where a body goes. */
export interface BodySink {
  /** Whether it wants what is in the chunks, and not the chunks. */
  readonly decodes: boolean;
  push(bytes: Buffer): MaybePromise<void>;
  /** @param trailers with the empty line after them; nothing at all for other bodies than chunked ones */
  end(trailers: Buffer): MaybePromise<void>;
}

const lineEnd = Buffer.from("\r\n");
const lastChunk = Buffer.from("0\r\n");

/** Nowhere. */
export const dropped: BodySink = { decodes: false, push: () => undefined, end: () => undefined };

/** On, as it was written. */
export function passedOn(outlet: Outlet): BodySink {
  return {
    decodes: false,
    push: (bytes) => outlet.push(bytes),
    end: (trailers) => outlet.push(trailers),
  };
}

/** @param length what comes out has to have in all; null: any */
export function filtered(outlet: Outlet, filter: BodyFilter, length: number | null): BodySink {
  let left = length ?? Number.POSITIVE_INFINITY;
  const pass = (pieces: readonly Buffer[]): void => {
    for (const piece of pieces) {
      left -= piece.length;
      if (left < 0) throw new RangeError("a filter made a body longer that was to keep its length");
      outlet.push(piece);
    }
  };
  return {
    decodes: false,
    push: (bytes) => withPieces(filter.push(bytes), pass),
    end: () =>
      withPieces(filter.end(), (pieces) => {
        pass(pieces);
        if (length !== null && left > 0)
          throw new RangeError("a filter made a body shorter that was to keep its length");
      }),
  };
}

/** In chunks of our own. @param wasChunked as it comes */
export function rechunked(outlet: Outlet, filter: BodyFilter, wasChunked = true): BodySink {
  const pass = (pieces: readonly Buffer[]): void => {
    const bytes = totalBytes(pieces);
    if (bytes === 0) return;
    outlet.push(Buffer.from(`${bytes.toString(16)}\r\n`, "latin1"));
    for (const piece of pieces) outlet.push(piece);
    outlet.push(lineEnd);
  };
  return {
    decodes: wasChunked,
    push: (bytes) => withPieces(filter.push(bytes), pass),
    end: (trailers) =>
      withPieces(filter.end(), (pieces) => {
        pass(pieces);
        outlet.push(lastChunk);
        outlet.push(trailers.length === 0 ? lineEnd : trailers);
      }),
  };
}

/**
 * Held until all of it is there, because its length has to be said first.
 *
 * @param writeHead is told that length
 */
export function heldBack(outlet: Outlet, filter: BodyFilter, writeHead: (length: number) => void): BodySink {
  const held: Buffer[] = [];
  let bytes = 0;
  const hold = (pieces: readonly Buffer[]): void => {
    bytes += totalBytes(pieces);
    if (bytes > maxHeldBodyBytes) throw new Malformed("a body too long to be changed");
    // Copied: a piece of a few bytes may be part of a large read.
    for (const piece of pieces) if (piece.length > 0) held.push(Buffer.from(piece));
  };
  return {
    decodes: false,
    push: (piece) => withPieces(filter.push(piece), hold),
    end: () =>
      withPieces(filter.end(), (pieces) => {
        hold(pieces);
        writeHead(bytes);
        for (const piece of held) outlet.push(piece);
      }),
  };
}

type Pieces = readonly Buffer[];

function withPieces(pieces: MaybePromise<Pieces>, act: (pieces: Pieces) => void): MaybePromise<void> {
  if (pieces instanceof Promise) return pieces.then(act);
  act(pieces);
  return undefined;
}

function totalBytes(pieces: readonly Buffer[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}
