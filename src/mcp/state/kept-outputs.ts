import { randomUUID } from "node:crypto";
import type { Truncation } from "../call/outcome.ts";

/** Bytes of one output that are kept for later, and of all of them. */
export const mostKeptBytes = 16 << 20;
const mostKeptInAll = 64 << 20;

/** The beginning of something that was longer than a result may be. */
export interface KeptOutput {
  readonly id: string;
  readonly what: string;
  readonly bytes: Buffer;
  /** Of the whole, which may be more than was kept. */
  readonly totalBytes: number;
}

/** A part of it as text. */
export interface OutputPart {
  readonly text: string;
  readonly bytes: number;
}

/** What did not fit into results, for a while: of all of them so much, the oldest go first. */
export class KeptOutputs {
  readonly #outputs = new Map<string, KeptOutput & { readonly until: number }>();
  readonly #ttlMs: number;

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  list(): readonly KeptOutput[] {
    this.#sweep();
    return [...this.#outputs.values()];
  }

  /** @returns undefined when it is none, or has gone */
  get(id: string): KeptOutput | undefined {
    this.#sweep();
    return this.#outputs.get(id);
  }

  /** Cuts a text for a result, and keeps the rest. */
  cut(
    field: string,
    what: string,
    bytes: Buffer,
    totalBytes: number,
    most: number,
  ): { readonly text: string; readonly truncated: readonly Truncation[] } {
    const part = textAt(bytes, 0, most);
    if (part.bytes === bytes.length && totalBytes === bytes.length) return { text: part.text, truncated: [] };
    return { text: part.text, truncated: [this.keepRest(field, what, bytes, totalBytes, part.bytes)] };
  }

  /** Keeps all of something of which a result has the beginning. @param returnedBytes how much of it */
  keepRest(
    field: string,
    what: string,
    bytes: Buffer,
    totalBytes: number,
    returnedBytes: number,
  ): Truncation {
    const kept = bytes.subarray(0, mostKeptBytes);
    const id = this.#keep(what, kept, totalBytes);
    const lost = totalBytes > kept.length ? `; only the first ${kept.length} bytes are kept` : "";
    const rest = `read the resource ${outputUri(id, returnedBytes)}, or call output_read with id ${id} and offset ${returnedBytes}${lost}`;
    return { field, returnedBytes, totalBytes, rest };
  }

  clear(): void {
    this.#outputs.clear();
  }

  #keep(what: string, bytes: Buffer, totalBytes: number): string {
    this.#sweep();
    let inAll = bytes.length;
    for (const { bytes: kept } of this.#outputs.values()) inAll += kept.length;
    for (const [id, { bytes: kept }] of this.#outputs) {
      if (inAll <= mostKeptInAll) break;
      this.#outputs.delete(id);
      inAll -= kept.length;
    }
    const id = randomUUID();
    this.#outputs.set(id, { id, what, bytes, totalBytes, until: performance.now() + this.#ttlMs });
    return id;
  }

  #sweep(): void {
    const now = performance.now();
    for (const [id, { until }] of this.#outputs) if (until < now) this.#outputs.delete(id);
  }
}

export function outputUri(id: string, offset: number): string {
  return `microsandbox://outputs/${id}/${offset}`;
}

/** So many bytes from a place, as whole characters. */
export function textAt(bytes: Buffer, offset: number, most: number): OutputPart {
  const begin = Math.min(offset, bytes.length);
  let end = Math.min(begin + most, bytes.length);
  // 10xxxxxx goes on with a character: at most three of them.
  for (let back = 0; back < 3 && end > begin + 1 && end < bytes.length && isInner(bytes[end]); back++) end--;
  return { text: bytes.toString("utf8", begin, end), bytes: end - begin };
}

function isInner(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
