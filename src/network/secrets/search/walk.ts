import { cutShort, jsonEscape, percentEscape } from "./escapes.ts";
import type { Form } from "./hit.ts";
import type { PatternNode } from "./pattern-tree.ts";

const [percent, plus, space, backslash] = [0x25, 0x2b, 0x20, 0x5c];

/**
 * Reads what may be a pattern at one place, in one of the forms that are written byte after byte. What it finds is in its fields, so that
 * nothing is allocated where nothing is found, which is nearly everywhere.
 */
export class Walk {
  /** Of the longest pattern that is there; -1: none. */
  pattern = -1;
  /** Behind it. */
  end = 0;
  form: Form = "raw";
  /** The text ended while a pattern, or a longer one, could have gone on, in raw form or in another. */
  isOpenRaw = false;
  isOpenCoded = false;
  readonly #root: PatternNode;
  /** Patterns that have characters of an escape in themselves: then raw text that goes on well may mean something else as an escape. */
  readonly #hasPercent: boolean;
  readonly #hasBackslash: boolean;

  constructor(root: PatternNode, patterns: readonly Buffer[]) {
    this.#root = root;
    this.#hasPercent = patterns.some((one) => one.includes(percent) || one.includes(plus));
    this.#hasBackslash = patterns.some((one) => one.includes(backslash));
  }

  /** @param at of a byte that a pattern begins with, or of a % or a backslash */
  from(text: Buffer, at: number): void {
    this.pattern = -1;
    this.end = at;
    this.isOpenRaw = false;
    this.isOpenCoded = false;
    const stop = this.#raw(text, at);
    // Where the raw text stops being a pattern, an escape may go on with it.
    if (stop === percent || stop === plus || this.#hasPercent) this.#percent(text, at);
    if (stop === backslash || this.#hasBackslash) this.#json(text, at);
    if (stop === 0) this.#utf16(text, at);
  }

  #found(pattern: number, end: number, form: Form): void {
    // Of forms that end at the same place the plainest is told.
    if (pattern < 0 || end <= this.end) return;
    this.pattern = pattern;
    this.end = end;
    this.form = form;
  }

  /** @returns the byte that is in no pattern; -1: none is left, or no pattern goes on */
  #raw(text: Buffer, start: number): number {
    let node = this.#root;
    for (let at = start; at < text.length; at++) {
      const byte = text[at] ?? 0;
      const next = node.next.get(byte);
      if (next === undefined) return byte;
      node = next;
      this.#found(node.pattern, at + 1, "raw");
    }
    if (node.next.size > 0) this.isOpenRaw = true;
    return -1;
  }

  #percent(text: Buffer, start: number): void {
    let node = this.#root;
    for (let at = start; at < text.length;) {
      let byte = text[at++] ?? 0;
      let isPlus = false;
      if (byte === percent) {
        const escaped = percentEscape(text, at - 1);
        if (escaped === cutShort) break;
        if (escaped >= 0) {
          byte = escaped;
          at += 2;
        }
      } else isPlus = byte === plus;
      const next = node.next.get(byte) ?? (isPlus ? node.next.get(space) : undefined);
      if (next === undefined) return;
      node = next;
      this.#found(node.pattern, at, "percent");
    }
    if (node.next.size > 0) this.isOpenCoded = true;
  }

  #json(text: Buffer, start: number): void {
    let node = this.#root;
    for (let at = start; at < text.length;) {
      const byte = text[at] ?? 0;
      const escaped = byte === backslash ? jsonEscape(text, at) : null;
      if (escaped === cutShort) break;
      at += escaped?.length ?? 1;
      for (const one of escaped?.bytes ?? [byte]) {
        const next = node.next.get(one);
        if (next === undefined) return;
        node = next;
      }
      this.#found(node.pattern, at, "json");
    }
    if (node.next.size > 0) this.isOpenCoded = true;
  }

  /** Every other byte is 0. The last one is not looked at, so that both orders are the same. */
  #utf16(text: Buffer, start: number): void {
    let node = this.#root;
    let at = start;
    for (; at < text.length; at += 2) {
      const next = node.next.get(text[at] ?? 0);
      if (next === undefined) return;
      node = next;
      this.#found(node.pattern, at + 1, "utf-16");
      if (node.next.size === 0) return;
      if (at + 1 < text.length && text[at + 1] !== 0) return;
    }
    this.isOpenCoded = true;
  }
}
