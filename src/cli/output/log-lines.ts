import { StringDecoder } from "node:string_decoder";

/** The part of a log entry that makes lines. */
export interface Chunk {
  readonly timestamp: Date;
  readonly source: string;
  readonly sessionId: number | null;
  readonly data: Uint8Array;
}

export interface LogLine {
  /** When its first byte was written. */
  readonly timestamp: Date;
  readonly source: string;
  readonly sessionId: number | null;
  /** Without the line's end. */
  readonly text: string;
}

interface Unfinished {
  readonly first: Chunk;
  readonly decoder: StringDecoder;
  text: string;
}

/**
 * Puts the lines of a log together again: it holds what commands wrote in the pieces in which they wrote it, and
 * pieces of several commands in between each other.
 */
export class LineAssembler {
  readonly #unfinished = new Map<string, Unfinished>();

  /** Takes the next entry; returns the lines that it completes. */
  push(chunk: Chunk): LogLine[] {
    const key = `${chunk.source} ${String(chunk.sessionId)}`;
    const before = this.#unfinished.get(key) ?? {
      first: chunk,
      decoder: new StringDecoder("utf8"),
      text: "",
    };
    const [head = "", ...rest] = before.decoder.write(Buffer.from(chunk.data)).split("\n");
    if (rest.length === 0) {
      before.text += head;
      this.#unfinished.set(key, before);
      return [];
    }
    const last = rest.pop() ?? "";
    const lines = [finished(before.first, before.text + head), ...rest.map((text) => finished(chunk, text))];
    // The decoder keeps a character that the next piece completes, so it goes with the unfinished line.
    this.#unfinished.set(key, { first: chunk, decoder: before.decoder, text: last });
    return lines;
  }

  /** The lines that never ended. */
  end(): LogLine[] {
    const lines: LogLine[] = [];
    for (const { first, decoder, text } of this.#unfinished.values()) {
      const all = text + decoder.end();
      if (all !== "") lines.push(finished(first, all));
    }
    this.#unfinished.clear();
    return lines;
  }
}

function finished(chunk: Chunk, text: string): LogLine {
  return {
    timestamp: chunk.timestamp,
    source: chunk.source,
    sessionId: chunk.sessionId,
    text: text.endsWith("\r") ? text.slice(0, -1) : text,
  };
}
