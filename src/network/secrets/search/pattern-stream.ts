import { type Hit, Undecided } from "./hit.ts";
import type { Patterns } from "./patterns.ts";

/**
 * Told what was found, and how it is written there, which is valid until it returns; the same may be told more than once. It may throw.
 *
 * @returns what takes its place; null: it stays
 */
export type Judge = (hit: Hit, written: Buffer) => Buffer | null;

/** Which forms a {@link Judge} may replace, `text` all but base64: their beginnings are kept back until more bytes tell what they are. */
export type Replaced = "none" | "raw" | "text" | "all";

/**
 * Looks for patterns in bytes that come in pieces, and passes them on, some of them replaced. How they are cut makes no difference. What
 * takes the place of a pattern is not looked at again.
 */
export class PatternStream {
  readonly #patterns: Patterns;
  readonly #replaced: Replaced;
  readonly #judge: Judge;
  /** The last bytes that have come, `reach` at most, and room for as many of the next piece. */
  readonly #window: Buffer;
  #old = 0;
  /** How many of those have not been passed on. */
  #held = 0;

  constructor(patterns: Patterns, replaced: Replaced, judge: Judge) {
    this.#patterns = patterns;
    this.#replaced = replaced;
    this.#judge = judge;
    this.#window = Buffer.allocUnsafeSlow(2 * patterns.reach);
  }

  /** @returns what can be passed on: parts of `bytes`, or memory of its own */
  push(bytes: Buffer): Buffer[] {
    if (bytes.length === 0) return [];
    const { reach } = this.#patterns;
    const more = bytes.copy(this.#window, this.#old, 0, Math.min(reach, bytes.length));
    const window = this.#window.subarray(0, this.#old + more);
    // Positions count from the beginning of the new bytes; those that came before are below 0.
    const undecided = new Undecided();
    const hits = this.#inWindow(window, undecided);
    this.#patterns.find(bytes, bytes.length, hits, undecided);
    const pieces = this.#pass(bytes, window, hits, this.#undecidedFrom(bytes, window, undecided));
    this.#remember(bytes, more);
    return pieces;
  }

  /** Nothing more comes. */
  end(): Buffer[] {
    const window = this.#window.subarray(0, this.#old);
    const pieces = this.#pass(Buffer.alloc(0), window, this.#inWindow(window, null), 0);
    this.#old = 0;
    return pieces;
  }

  /** What begins in bytes that came before. */
  #inWindow(window: Buffer, undecided: Undecided | null): Hit[] {
    const found: Hit[] = [];
    const old = this.#old;
    if (old === 0) return found;
    this.#patterns.find(window, old, found, undecided);
    undecided?.shift(-old);
    return found.map((hit) => ({ ...hit, start: hit.start - old, end: hit.end - old }));
  }

  #undecidedFrom(bytes: Buffer, window: Buffer, { whole, raw, coded }: Undecided): number {
    const end = bytes.length;
    if (this.#replaced === "none") return Math.min(end, whole);
    if (this.#replaced === "raw") return Math.min(end, whole, raw);
    if (this.#replaced === "text") return Math.min(end, whole, raw, coded);
    const isAllInWindow = window.length === this.#old + end;
    const base64 = isAllInWindow
      ? this.#patterns.openBase64(window) - this.#old
      : this.#patterns.openBase64(bytes);
    return Math.min(end, whole, raw, coded, base64);
  }

  /** What begins at `undecidedFrom` or behind it is found again when there is more. */
  #pass(bytes: Buffer, window: Buffer, hits: readonly Hit[], undecidedFrom: number): Buffer[] {
    const pieces: Buffer[] = [];
    let from = -this.#held;
    for (const hit of hits) {
      if (hit.start >= undecidedFrom) break;
      const written =
        hit.start < 0
          ? window.subarray(this.#old + hit.start, this.#old + hit.end)
          : bytes.subarray(hit.start, hit.end);
      const replacement = this.#judge(hit, written);
      if (replacement === null || hit.start < from) continue;
      this.#slice(pieces, bytes, window, from, hit.start);
      if (replacement.length > 0) pieces.push(replacement);
      from = hit.end;
    }
    const to = Math.max(from, undecidedFrom);
    this.#slice(pieces, bytes, window, from, to);
    this.#held = bytes.length - to;
    return pieces;
  }

  #slice(pieces: Buffer[], bytes: Buffer, window: Buffer, from: number, to: number): void {
    if (from < 0 && from < to)
      // The window is used again.
      pieces.push(Buffer.from(window.subarray(this.#old + from, this.#old + Math.min(to, 0))));
    if (to > 0 && from < to) pieces.push(bytes.subarray(Math.max(from, 0), to));
  }

  /** @param copied bytes of the new ones that are behind the old ones already */
  #remember(bytes: Buffer, copied: number): void {
    const { reach } = this.#patterns;
    if (bytes.length >= reach) {
      this.#old = bytes.copy(this.#window, 0, bytes.length - reach);
      return;
    }
    const length = this.#old + copied;
    this.#old = Math.min(reach, length);
    this.#window.copyWithin(0, length - this.#old, length);
  }
}
