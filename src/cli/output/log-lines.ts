import { StringDecoder } from "node:string_decoder";

/** The part of a log entry that makes lines. */
export interface Chunk {
  readonly timestamp: Date;
  readonly source: string;
  readonly sessionId: number | null;
  readonly data: Uint8Array;
  /** For a mark without data: the lines that are over without a newline, of its session and source or all. */
  readonly ends?: "session" | "all" | null;
}

export interface LogLine {
  /** When its first byte was written. */
  readonly timestamp: Date;
  readonly source: string;
  readonly sessionId: number | null;
  /** Without the line's end. */
  readonly text: string;
  /** Its last piece, counted from the first one of the log. */
  readonly at: number;
}

interface Unfinished {
  readonly first: Chunk;
  readonly decoder: StringDecoder;
  text: string;
  at: number;
}

const newline = 0x0a;

/**
 * Puts the lines of a log together again: it holds what commands wrote in the pieces in which they wrote it, and
 * pieces of several commands in between each other.
 */
export class LineAssembler {
  readonly #unfinished = new Map<string, Unfinished>();
  #count = 0;

  /** Takes the next entry; returns the lines that it completes. */
  push(chunk: Chunk): LogLine[] {
    const at = ++this.#count;
    if (chunk.ends === "all") return this.end();
    const key = `${chunk.source} ${String(chunk.sessionId)}`;
    const before = this.#unfinished.get(key);
    if (chunk.ends === "session") {
      this.#unfinished.delete(key);
      return before === undefined ? [] : ended([before]);
    }
    if (chunk.data.length === 0) return [];
    const { first, decoder, text } = before ?? { first: chunk, decoder: new StringDecoder("utf8"), text: "" };
    const [head = "", ...rest] = decoder.write(Buffer.from(chunk.data)).split("\n");
    if (rest.length === 0) {
      this.#unfinished.set(key, { first, decoder, text: text + head, at });
      return [];
    }
    const last = rest.pop() ?? "";
    // The decoder keeps a character that the next piece completes, so it goes with the unfinished line.
    if (chunk.data.at(-1) === newline) this.#unfinished.delete(key);
    else this.#unfinished.set(key, { first: chunk, decoder, text: last, at });
    return [finished(first, text + head, at), ...rest.map((line) => finished(chunk, line, at))];
  }

  /** The lines that have not ended, in the order in which they were written. */
  end(): LogLine[] {
    const lines = ended([...this.#unfinished.values()]);
    this.#unfinished.clear();
    return lines;
  }
}

function ended(unfinished: readonly Unfinished[]): LogLine[] {
  return unfinished
    .map(({ first, decoder, text, at }) => finished(first, text + decoder.end(), at))
    .filter(({ text }) => text !== "")
    .sort((a, b) => a.at - b.at);
}

function finished(chunk: Chunk, text: string, at: number): LogLine {
  return {
    timestamp: chunk.timestamp,
    source: chunk.source,
    sessionId: chunk.sessionId,
    text: text.endsWith("\r") ? text.slice(0, -1) : text,
    at,
  };
}
