import { Malformed } from "./malformed.ts";

const cr = 0x0d;
const lf = 0x0a;
const nothing: Buffer = Buffer.alloc(0);

/**
 * Finds the end of a line, or of lines up to an empty one, in bytes that come in any pieces. A line ends in CRLF and in nothing else: a
 * single LF, at which others might end it (RFC 9112, 2.2), is found at once. What comes in one piece is not copied.
 */
export class LineCollector {
  /** What came in earlier pieces; it grows by doubling. */
  #held = nothing;
  #length = 0;
  /** Of the line that is not at its end. */
  #lineLength = 0;
  #last = 0;

  /** Whether there is something that is not at its end. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /**
   * @param input looked at from `start` on; what belongs to this is kept when its end is not there
   * @param wants one line, or a block that an empty line ends
   * @param most of all, in bytes
   * @returns how far it goes in `input`, exclusive; -1: to its end and beyond
   * @throws Malformed
   */
  find(input: Buffer, start: number, wants: "line" | "block", most: number): number {
    let lineStart = start;
    for (let at = input.indexOf(lf, start); at >= 0; at = input.indexOf(lf, lineStart)) {
      const before = at > start ? input[at - 1] : this.#last;
      const lineLength = this.#lineLength + at - lineStart;
      if (before !== cr || lineLength === 0) throw new Malformed("a line that does not end in CRLF");
      lineStart = at + 1;
      this.#lineLength = 0;
      if (this.#length + lineStart - start > most) throw tooLong(most);
      if (wants === "line" || lineLength === 1) return lineStart;
    }
    this.#lineLength += input.length - lineStart;
    if (this.#length + input.length - start > most) throw tooLong(most);
    this.#keep(input, start, input.length);
    return -1;
  }

  /**
   * All of what `find()` has found the end of, and forgets it.
   *
   * @returns a part of `input` if it was all in there, else memory of its own
   */
  collect(input: Buffer, start: number, end: number): Buffer {
    if (this.#length === 0) return input.subarray(start, end);
    this.#keep(input, start, end);
    return this.takeHeld();
  }

  /** The first line of what is kept, with its end; null: it is not all there. */
  heldLine(): Buffer | null {
    const end = this.#held.subarray(0, this.#length).indexOf(lf);
    return end < 0 ? null : this.#held.subarray(0, end + 1);
  }

  /** What is kept, and forgets it. */
  takeHeld(): Buffer {
    const all = this.#held.subarray(0, this.#length);
    this.#held = nothing;
    this.#length = 0;
    this.#lineLength = 0;
    this.#last = 0;
    return all;
  }

  #keep(input: Buffer, start: number, end: number): void {
    if (end <= start) return;
    const length = this.#length + end - start;
    if (length > this.#held.length) {
      const held = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#held.length, 512));
      this.#held.copy(held, 0, 0, this.#length);
      this.#held = held;
    }
    input.copy(this.#held, this.#length, start, end);
    this.#length = length;
    this.#last = input[end - 1] ?? 0;
  }
}

function tooLong(most: number): Malformed {
  return new Malformed(`more than ${most} bytes before an end`);
}
