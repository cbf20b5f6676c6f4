import { type AlignedGroup, alignedGroups, matchAligned, sextets } from "./base64-patterns.ts";
import { type Beginning, beginningsOf } from "./beginnings.ts";
import type { Hit, Undecided } from "./hit.ts";
import { patternTree } from "./pattern-tree.ts";
import { Walk } from "./walk.ts";

/** `\u0024` for a byte. */
const mostBytesForOne = 6;
/** With more beginnings one look at every byte is cheaper than a search for each of them. */
const mostSearched = 4;
/** Bytes that are looked at one by one before a search. */
const searchedFrom = 12;

/**
 * Finds patterns in all their forms. Whether a pattern is at some place depends on the bytes from there on alone: so text that is looked at in
 * pieces has the same ones. Of patterns that begin at one place the longest counts.
 */
export class Patterns {
  /** Bytes that the longest pattern can be written in. */
  readonly reach: number;
  readonly #walk: Walk;
  /** In any form but base64. */
  readonly #beginnings: readonly Beginning[];
  readonly #byByte: readonly (Beginning | null)[];
  readonly #groups: readonly AlignedGroup[];

  /** @param patterns none empty, each once */
  constructor(patterns: readonly Buffer[]) {
    this.reach = mostBytesForOne * Math.max(0, ...patterns.map((one) => one.length));
    const root = patternTree(patterns);
    this.#walk = new Walk(root, patterns);
    this.#beginnings = beginningsOf(root);
    const byByte = new Map(this.#beginnings.map((one) => [one.byte, one]));
    this.#byByte = Array.from({ length: 256 }, (_, byte) => byByte.get(byte) ?? null);
    this.#groups = alignedGroups(patterns);
  }

  /**
   * Those that begin before `to`.
   *
   * @param hits gets them, in order
   * @param undecided gets where more bytes would tell more. null: there are no more.
   */
  find(text: Buffer, to: number, hits: Hit[], undecided: Undecided | null): void {
    const before = hits.length;
    if (this.#beginnings.length > mostSearched) this.#readAll(text, to, hits, undecided);
    else
      for (const beginning of this.#beginnings)
        for (let at = nextOf(text, beginning.byte, 0); at < to; at = nextOf(text, beginning.byte, at + 1))
          if (canBegin(text, at, beginning)) this.#readAt(text, at, hits, undecided);
    for (const group of this.#groups)
      for (const needle of group.needles)
        for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) {
          const start = at - group.lead;
          if (start >= to) break;
          if (start >= 0 && canFollow(group, text[at + needle.length]))
            matchGroup(group, text, start, hits, undecided);
        }
    if (hits.length - before > 1) hits.sort((a, b) => a.start - b.start || b.end - a.end);
  }

  /**
   * Where the beginning of base64 of a pattern may be at the end of the text, too short for {@link find} to see it.
   *
   * @returns the first such place; the end of the text: there is none
   */
  openBase64(text: Buffer): number {
    for (let start = Math.max(0, text.length - this.reach); start < text.length; start++)
      for (const { patterns } of this.#groups)
        for (const one of patterns) if (matchAligned(text, start, one) === "open") return start;
    return text.length;
  }

  #readAll(text: Buffer, to: number, hits: Hit[], undecided: Undecided | null): void {
    const byByte = this.#byByte;
    for (let at = 0; at < to; at++) {
      const beginning = byByte[text[at] ?? 0];
      if (beginning && canBegin(text, at, beginning)) this.#readAt(text, at, hits, undecided);
    }
  }

  #readAt(text: Buffer, at: number, hits: Hit[], undecided: Undecided | null): void {
    const walk = this.#walk;
    walk.from(text, at);
    const isWhole = walk.pattern >= 0;
    if (undecided !== null && (walk.isOpenRaw || walk.isOpenCoded)) {
      if (isWhole) {
        undecided.whole = Math.min(undecided.whole, at);
        return;
      }
      if (walk.isOpenRaw) undecided.raw = Math.min(undecided.raw, at);
      else undecided.coded = Math.min(undecided.coded, at);
    }
    if (isWhole) hits.push({ start: at, end: walk.end, pattern: walk.pattern, form: walk.form });
  }
}

/** @returns the length of the text, or more: there is none */
function nextOf(text: Buffer, byte: number, from: number): number {
  // A search costs as much as looking at some 20 bytes here: where there are many, it is not worth it.
  const near = Math.min(from + searchedFrom, text.length);
  for (let at = from; at < near; at++) if (text[at] === byte) return at;
  const at = text.indexOf(byte, near);
  return at < 0 ? text.length : at;
}

function canBegin(text: Buffer, at: number, { second, third }: Beginning): boolean {
  return isAmong(text[at + 1], second) && isAmong(text[at + 2], third);
}

/** Behind the end of the text anything may be. */
function isAmong(byte: number | undefined, table: Uint8Array): boolean {
  return byte === undefined || table[byte] !== 0;
}

function canFollow({ followers }: AlignedGroup, byte: number | undefined): boolean {
  return byte === undefined || followers[sextets[byte] ?? 64] !== 0;
}

function matchGroup(
  { patterns }: AlignedGroup,
  text: Buffer,
  start: number,
  hits: Hit[],
  undecided: Undecided | null,
): void {
  let longest: Hit | null = null;
  let isOpen = false;
  for (const one of patterns) {
    const match = matchAligned(text, start, one);
    if (match === "open") isOpen = true;
    const end = start + one.values.length;
    if (match === "whole" && (longest === null || end > longest.end))
      longest = { start, end, pattern: one.pattern, form: "base64" };
  }
  if (isOpen && undecided !== null) {
    if (longest === null) undecided.coded = Math.min(undecided.coded, start);
    else undecided.whole = Math.min(undecided.whole, start);
    if (longest !== null) return;
  }
  if (longest !== null) hits.push(longest);
}
