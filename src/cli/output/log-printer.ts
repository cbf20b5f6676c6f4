import { isUtf8 } from "node:buffer";
import { styleText } from "node:util";
import { LineAssembler, type Chunk, type LogLine } from "./log-lines.ts";
import { jsonLine } from "./format.ts";
import { paint, type Format } from "./style.ts";
import { err, print, writeAll } from "./streams.ts";
import { errorBlock } from "./blocks.ts";

export interface LogView {
  readonly grep: RegExp | null;
  readonly timestamps: boolean;
  readonly sessionIds: boolean;
  readonly colorSessions: boolean;
  readonly color: "auto" | "always" | "never";
  readonly json: boolean;
}

/** The last failed start of a sandbox, as far as it is shown. */
export interface BootFailureText {
  /** RFC 3339. */
  readonly t: string;
  readonly stage: string;
  readonly message: string;
  readonly hint: string;
}

const sessionColors: readonly Format[] = ["cyan", "magenta", "yellow", "green", "blue", "red"];

/**
 * Prints log entries on stdout: as JSON Lines, as lines with what the view adds to them, or, when the view adds
 * nothing, the very bytes that were written.
 */
export class LogPrinter {
  readonly #view: LogView;
  readonly #stream: NodeJS.WriteStream;
  readonly #lines = new LineAssembler();
  readonly #lineMode: boolean;

  constructor(view: LogView, stream: NodeJS.WriteStream = process.stdout) {
    this.#view = view;
    this.#stream = stream;
    this.#lineMode = view.grep !== null || view.timestamps || view.sessionIds || view.colorSessions;
  }

  bootFailure(failure: BootFailureText | null): void {
    if (failure === null) return;
    if (this.#view.json) {
      const line = { t: failure.t, s: "boot-error", d: `${failure.stage}: ${failure.message}` };
      print(this.#stream, jsonLine(line));
      return;
    }
    err(
      errorBlock(
        {
          text: "the last start failed",
          causes: [`${failure.stage}: ${failure.message}`],
          hints: [failure.hint],
        },
        process.stderr,
      ),
    );
  }

  /**
   * Prints entries that were read at once.
   *
   * @param tail - only so many of the last lines (of the last entries, for JSON); null = all
   * @param more - entries follow, so that a line without an end may still get it
   */
  async all(entries: readonly Chunk[], tail: number | null, more: boolean): Promise<void> {
    if (this.#view.json) {
      for (const entry of lastOf(
        entries.filter((entry) => !isMark(entry) && this.#matches(entry)),
        tail,
      ))
        await this.#json(entry);
    } else if (this.#lineMode || tail !== null) {
      const lines = entries.flatMap((entry) => this.#lines.push(entry));
      const open = more && this.#lineMode ? [] : this.#lines.end();
      // A line without an end stands where it was written, not after what others have written since.
      const all = [...lines, ...open].sort((a, b) => a.at - b.at);
      const goesOn = more ? open.at(-1) : undefined;
      const wanted = all.filter((line) => this.#wanted(line));
      // Its end may come, as it is written.
      for (const line of lastOf(wanted, tail))
        await this.#line(line, line === goesOn && line === all.at(-1) ? "" : "\n");
    } else {
      for (const entry of entries) await writeAll(this.#stream, entry.data);
    }
  }

  async next(entry: Chunk): Promise<void> {
    if (this.#view.json) {
      if (!isMark(entry) && this.#matches(entry)) await this.#json(entry);
    } else if (this.#lineMode) {
      for (const line of this.#lines.push(entry)) if (this.#wanted(line)) await this.#line(line);
    } else {
      await writeAll(this.#stream, entry.data);
    }
  }

  /** Prints the lines that never ended. */
  async end(): Promise<void> {
    for (const line of this.#lines.end()) if (this.#wanted(line)) await this.#line(line);
  }

  #wanted(line: LogLine): boolean {
    return this.#view.grep?.test(line.text) ?? true;
  }

  #matches(entry: Chunk): boolean {
    return this.#view.grep?.test(Buffer.from(entry.data).toString("utf8")) ?? true;
  }

  async #json(entry: Chunk): Promise<void> {
    const data = Buffer.from(entry.data);
    const text = isUtf8(data);
    const line = {
      t: entry.timestamp.toISOString(),
      s: entry.source,
      d: data.toString(text ? "utf8" : "base64"),
      ...(entry.sessionId === null ? {} : { id: entry.sessionId }),
      ...(text ? {} : { e: "b64" }),
    };
    await writeAll(this.#stream, jsonLine(line));
  }

  async #line(line: LogLine, end = "\n"): Promise<void> {
    const { timestamps, sessionIds, colorSessions } = this.#view;
    const id = line.sessionId === null ? "-" : String(line.sessionId);
    const prefix =
      (timestamps ? `${this.#paint("dim", line.timestamp.toISOString())} ` : "") +
      (sessionIds ? `${this.#paint("dim", `[${id}]`)} ` : "");
    const color =
      colorSessions && line.sessionId !== null
        ? sessionColors[line.sessionId % sessionColors.length]
        : undefined;
    const text = color === undefined ? line.text : this.#paint(color, line.text);
    await writeAll(this.#stream, `${prefix}${text}${end}`);
  }

  #paint(format: Format, text: string): string {
    switch (this.#view.color) {
      case "always":
        return styleText(format, text, { validateStream: false });
      case "never":
        return text;
      case "auto":
        return paint(format, text, this.#stream);
    }
  }
}

function isMark({ ends }: Chunk): boolean {
  return ends !== undefined && ends !== null;
}

function lastOf<T>(items: readonly T[], count: number | null): readonly T[] {
  return count === null ? items : items.slice(Math.max(0, items.length - count));
}
