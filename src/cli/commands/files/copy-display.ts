import { bytes } from "../../output/format.ts";
import { onInterruption } from "../../output/interrupt.ts";
import type { DisplayStream } from "../../output/pull-display.ts";
import { oneLine } from "../../output/sanitize.ts";
import { print } from "../../output/streams.ts";
import { style, styled, Styled, type Text } from "../../output/style.ts";
import { cut } from "../../output/table.ts";

/** How far a copy is. */
export interface CopyState {
  readonly entries: number;
  readonly bytes: number;
  /** Of one file, which gets a bar; null for a directory, of which nobody knows how much there is. */
  readonly totalBytes: number | null;
}

const BAR_WIDTH = 24;
/** As often is it drawn anew. */
const INTERVAL_MS = 100;
/** What is over sooner needs no display. */
const DELAY_MS = 300;

/** On a terminal one line that shows how far a copy is, and disappears; elsewhere nothing. */
export class CopyDisplay implements Disposable {
  readonly #stream: DisplayStream;
  readonly #title: string;
  readonly #now: () => number;
  readonly #begun: number;
  readonly #registration: Disposable;
  #drawnAt: number;
  #isDrawn = false;
  #isOver: boolean;

  constructor(
    stream: DisplayStream,
    title: string,
    quiet: boolean,
    now: () => number = () => performance.now(),
  ) {
    this.#stream = stream;
    this.#title = oneLine(title);
    this.#now = now;
    this.#begun = now();
    this.#drawnAt = this.#begun + DELAY_MS - INTERVAL_MS;
    this.#isOver = quiet || stream.isTTY !== true;
    this.#registration = onInterruption(() => {
      this.clear();
    });
  }

  show(state: CopyState): void {
    const now = this.#now();
    if (this.#isOver || now - this.#drawnAt < INTERVAL_MS) return;
    this.#drawnAt = now;
    print(this.#stream, styled`${this.#erase()}${this.#line(state, now)}`);
    this.#isDrawn = true;
  }

  /** Takes the line away; nothing is shown any more. */
  clear(): void {
    this.#registration[Symbol.dispose]();
    if (this.#isDrawn) print(this.#stream, this.#erase());
    this.#isDrawn = false;
    this.#isOver = true;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #line(state: CopyState, now: number): Text {
    const columns = this.#stream.columns ?? 80;
    const rate = `${bytes(state.bytes / ((now - this.#begun) / 1000))}/s`;
    const { totalBytes } = state;
    const amount =
      totalBytes === null
        ? `${String(state.entries)} entries, ${bytes(state.bytes)}, ${rate}`
        : `${bytes(state.bytes)} / ${bytes(totalBytes)}, ${rate}`;
    const share = totalBytes === null || totalBytes === 0 ? null : Math.min(1, state.bytes / totalBytes);
    const bar = share === null ? "" : `${" ".repeat(BAR_WIDTH)} `;
    const room = columns - 1 - `    ${bar}${amount}`.length;
    if (room < 8) return cut(`   ${amount}`, columns - 1);
    const title = cut(this.#title, room);
    if (share === null) return styled`   ${title} ${amount}`;
    const filled = Math.round(share * BAR_WIDTH);
    const done = style("cyan", "━".repeat(filled), this.#stream);
    const rest = style("dim", "─".repeat(BAR_WIDTH - filled), this.#stream);
    return styled`   ${title} ${done}${rest} ${amount}`;
  }

  /** To the line's beginning, all of it gone (ECMA-48: EL). */
  #erase(): Styled {
    return new Styled(this.#isDrawn ? "\r\x1b[K" : "");
  }
}
