import { StringDecoder } from "node:string_decoder";
import type { LogEntry } from "../../api/index.ts";
import { sanitize } from "../../cli/output/sanitize.ts";
import type { LogLine } from "../wire.ts";

/** A line that is longer is told in pieces, characters: a guest may never end one. */
const longestLine = 16 << 10;

interface Unfinished {
  readonly first: LogEntry;
  readonly decoder: StringDecoder;
  text: string;
}

/** Puts the lines of a log together, whose entries are what commands wrote at a time, of several commands in between each other. */
export class LogLines {
  readonly #unfinished = new Map<string, Unfinished>();

  /** Takes the next entry; returns the lines that it completes. */
  push(entry: LogEntry): LogLine[] {
    if (entry.ends === "all") return this.end();
    const key = `${entry.source} ${String(entry.sessionId)}`;
    const line = this.#unfinished.get(key) ?? { first: entry, decoder: new StringDecoder("utf8"), text: "" };
    this.#unfinished.delete(key);
    if (entry.ends === "session") return line.text === "" ? [] : [lineOf(line.first, line.text)];
    const [head = "", ...rest] = line.decoder.write(entry.data).split("\n");
    const texts = [line.text + head, ...rest];
    const last = texts.pop() ?? "";
    const lines = texts.map((text, index) => lineOf(index === 0 ? line.first : entry, text));
    const first = rest.length === 0 ? line.first : entry;
    if (last.length > longestLine) lines.push(lineOf(first, last));
    else if (last !== "") this.#unfinished.set(key, { first, decoder: line.decoder, text: last });
    return lines;
  }

  /** What is unfinished. */
  end(): LogLine[] {
    const lines = [...this.#unfinished.values()].map(({ first, text }) => lineOf(first, text));
    this.#unfinished.clear();
    return lines.filter(({ text }) => text !== "");
  }
}

function lineOf({ timestamp, source, sessionId }: LogEntry, text: string): LogLine {
  const at = timestamp.getTime();
  return { at, source, session: sessionId, text: sanitize(text.slice(0, 4 * longestLine)) };
}
