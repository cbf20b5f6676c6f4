import type { HttpField } from "../../http/message.ts";
import { ChunkLines } from "./chunk-line.ts";
import { parseFields } from "./fields.ts";
import type { Framing } from "./heads.ts";
import { maxChunkLineBytes, maxHeadBytes } from "./limits.ts";
import { LineCollector } from "./line-collector.ts";
import { Malformed } from "./malformed.ts";

/** What is read next of a connection. */
export type MessageEvent<Head> =
  /** `raw`: its bytes, to the empty line and with it. */
  | { readonly kind: "head"; readonly head: Head; readonly raw: Buffer }
  /** A piece of the body: with the lines around the chunks as they were written, unless {@link MessageReader.decodes}. */
  | { readonly kind: "body"; readonly bytes: Buffer }
  /** Of the message. `raw`: the trailers as they were written, with the empty line; nothing at all for other bodies than chunked ones. */
  | { readonly kind: "end"; readonly trailers: readonly HttpField[]; readonly raw: Buffer };

export interface ReaderOptions {
  /** Before a head: clients have sent them after bodies (RFC 9112, 2.2). */
  readonly skipsEmptyLines?: boolean;
  /** Is given the first line of a head, with its end, when the rest of it has not come. @throws Malformed */
  readonly checkFirstLine?: (line: string) => void;
}

type Place =
  "head" | "fixed" | "chunk-line" | "chunk-data" | "chunk-end" | "trailers" | "until-close" | "end";

const cr = 0x0d;
const lf = 0x0a;
const nothing: Buffer = Buffer.alloc(0);
const noFields: readonly HttpField[] = [];

/**
 * Reads the messages of one direction of a connection, one after the other, from bytes in any pieces (RFC 9112). It is asked for what
 * comes next, so that whoever has to wait in between just asks later. What it tells are parts of what it was given wherever they lie
 * there in one piece, and any way to cut the same bytes makes the same of them.
 */
export class MessageReader<Head extends { readonly framing: Framing }> {
  /** Whether pieces of a chunked body are what is in the chunks. Said after a head, for the body that follows. */
  decodes = false;
  /** Of a piece of a body that is told at once, in bytes. Said after a head, for the body that follows. */
  mostPiece = Number.POSITIVE_INFINITY;
  readonly #parse: (text: string) => Head;
  readonly #lines = new LineCollector();
  readonly #options: ReaderOptions;
  #isFirstLineChecked = false;
  #chunkLines = new ChunkLines();
  #input = nothing;
  #at = 0;
  #place: Place = "head";
  /** Bytes to come: of the body, of the chunk, or of the line's end after it. */
  #left = 0;
  /** A CR was read where an empty line may stand before a head. */
  #hasSeenCr = false;

  /** @param parse is given all of a head, as latin1, with the empty line at its end */
  constructor(parse: (text: string) => Head, options: ReaderOptions = {}) {
    this.#parse = parse;
    this.#options = options;
  }

  /** Whether nothing is missing: no message has begun, or the last one has ended. */
  get isBetweenMessages(): boolean {
    return this.#place === "head" && this.#lines.isEmpty && this.#at >= this.#input.length;
  }

  /** How much was given and not told yet, in bytes. */
  get waiting(): number {
    return this.#input.length - this.#at;
  }

  /** Whether the end of the connection ends the message. */
  get endsWithConnection(): boolean {
    return this.#place === "until-close";
  }

  /** Gives it what has come. It is not copied, but for what is not whole. */
  push(bytes: Buffer): void {
    this.#input =
      this.#at < this.#input.length ? Buffer.concat([this.#input.subarray(this.#at), bytes]) : bytes;
    this.#at = 0;
  }

  /** What was not told yet, when it turns out to be something else. */
  takeRest(): Buffer {
    const rest = Buffer.concat([this.#lines.takeHeld(), this.#input.subarray(this.#at)]);
    this.#input = nothing;
    this.#at = 0;
    return rest;
  }

  /** @returns null: it needs more bytes @throws Malformed */
  next(): MessageEvent<Head> | null {
    const event = this.#next();
    if (event === null && this.#at >= this.#input.length) {
      // A connection that is idle holds on to nothing.
      this.#input = nothing;
      this.#at = 0;
    }
    return event;
  }

  #next(): MessageEvent<Head> | null {
    switch (this.#place) {
      case "head":
        return this.#nextHead();
      case "fixed":
      case "until-close":
        return this.#nextPiece();
      case "end":
        this.#place = "head";
        return { kind: "end", trailers: noFields, raw: nothing };
      default:
        return this.#nextOfChunks();
    }
  }

  #nextHead(): MessageEvent<Head> | null {
    if (this.#options.skipsEmptyLines === true && this.#lines.isEmpty) this.#skipEmptyLines();
    if (this.#at >= this.#input.length) return null;
    const raw = this.#collect("block", maxHeadBytes);
    if (raw === null) {
      this.#checkFirstLine();
      return null;
    }
    this.#isFirstLineChecked = false;
    const head = this.#parse(raw.toString("latin1", 0, raw.length));
    this.#begin(head.framing);
    return { kind: "head", head, raw };
  }

  #checkFirstLine(): void {
    const check = this.#options.checkFirstLine;
    if (check === undefined || this.#isFirstLineChecked) return;
    const line = this.#lines.heldLine();
    if (line === null) return;
    check(line.toString("latin1"));
    this.#isFirstLineChecked = true;
  }

  #skipEmptyLines(): void {
    const input = this.#input;
    for (; this.#at < input.length; this.#at++) {
      const byte = input[this.#at];
      if (byte === (this.#hasSeenCr ? lf : cr)) this.#hasSeenCr = !this.#hasSeenCr;
      else if (this.#hasSeenCr) throw new Malformed("a CR alone");
      else return;
    }
  }

  #begin(framing: Framing): void {
    this.decodes = false;
    this.mostPiece = Number.POSITIVE_INFINITY;
    if (framing.kind === "none" || (framing.kind === "fixed" && framing.length === 0)) this.#place = "end";
    else if (framing.kind === "chunked") {
      this.#chunkLines = new ChunkLines();
      this.#place = "chunk-line";
    } else {
      this.#place = framing.kind;
      this.#left = framing.kind === "fixed" ? framing.length : Number.POSITIVE_INFINITY;
    }
  }

  #nextPiece(): MessageEvent<Head> | null {
    const bytes = this.#take();
    if (bytes.length === 0) return null;
    if (this.#left === 0) this.#place = "end";
    return { kind: "body", bytes };
  }

  /** As much as there is, of what is left to come. */
  #take(): Buffer {
    const end = Math.min(this.#input.length, this.#at + this.#left, this.#at + this.mostPiece);
    const bytes = this.#part(this.#at, end);
    this.#at = end;
    this.#left -= bytes.length;
    return bytes;
  }

  /** Of what was read; all of it is that itself, since each view is an object for the garbage collector. */
  #part(start: number, end: number): Buffer {
    return start === 0 && end === this.#input.length ? this.#input : this.#input.subarray(start, end);
  }

  #nextOfChunks(): MessageEvent<Head> | null {
    // As they were written, chunks are passed on together: a small one costs as little as its line.
    const start = this.#at;
    const written = (end: number): MessageEvent<Head> | null =>
      this.decodes || end === start ? null : { kind: "body", bytes: this.#part(start, end) };
    while (this.#at < this.#input.length) {
      const at = this.#at;
      if (this.#place === "chunk-data") {
        const bytes = this.#take();
        if (this.#left === 0) {
          this.#place = "chunk-end";
          this.#left = 2;
        }
        if (this.decodes) return { kind: "body", bytes };
      } else if (this.#place === "chunk-end") {
        if (this.#input[at] !== (this.#left === 2 ? cr : lf))
          throw new Malformed("a chunk is longer than it says");
        this.#at++;
        if (--this.#left === 0) this.#place = "chunk-line";
      } else if (this.#place === "chunk-line") {
        const isWhole = this.#lines.isEmpty;
        const line = this.#collect("line", maxChunkLineBytes);
        if (line === null) return written(at);
        this.#left = this.#chunkLines.sizeIn(line);
        this.#place = this.#left === 0 ? "trailers" : "chunk-data";
        if (!isWhole && !this.decodes) return { kind: "body", bytes: line };
      } else {
        const event = written(at);
        if (event !== null) return event;
        const raw = this.#collect("block", maxHeadBytes);
        if (raw === null) return null;
        this.#place = "head";
        const { fields } = parseFields(raw.toString("latin1", 0, raw.length), 0, "trailers");
        return { kind: "end", trailers: fields, raw };
      }
    }
    return written(this.#at);
  }

  #collect(wants: "line" | "block", most: number): Buffer | null {
    const start = this.#at;
    const end = this.#lines.find(this.#input, start, wants, most);
    this.#at = end < 0 ? this.#input.length : end;
    return end < 0 ? null : this.#lines.collect(this.#input, start, end);
  }
}
