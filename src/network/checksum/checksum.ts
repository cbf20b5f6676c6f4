import { loadKernel, type Kernel } from "./kernel.ts";
import { plainSum } from "./plain-sum.ts";

/** At the start of the kernel's memory: what lies elsewhere is copied there to be summed. Even, so that parts add up. */
const scratchBytes = 128 * 1024;

/** Fewer bytes than this are summed here: the call would take as long. */
const fewBytes = 48;

let kernel: Kernel | null | undefined;
let scratch = new Uint8Array(0);

function loaded(): Kernel | null {
  if (kernel !== undefined) return kernel;
  kernel = loadKernel();
  if (kernel !== null) scratch = new Uint8Array(kernel.memory, 0, scratchBytes);
  return kernel;
}

/**
 * The ones' complement sum of the 16-bit words in `bytes[from, to)` (RFC 1071), in network order, 0 to 0xffff; the last byte of an odd
 * number counts as the upper half of a word. What lies in memory of {@link allocateSummable} is summed in place.
 *
 * @example
 * ```ts
 * const header = Buffer.from("45000073000040004011b861c0a80001c0a800c7", "hex");
 * sumOf(header, 0, header.length); // 0xffff: its checksum is right
 * ```
 */
export function sumOf(bytes: Uint8Array, from: number, to: number): number {
  if (to - from < fewBytes) return plainSum(bytes, from, to);
  const { memory, sum } = loaded() ?? noKernel;
  if (sum === null) return plainSum(bytes, from, to);
  if (bytes.buffer === memory) return sum(bytes.byteOffset + from, bytes.byteOffset + to);
  let total = 0;
  for (let at = from; at < to; at += scratchBytes) {
    const end = Math.min(to, at + scratchBytes);
    scratch.set(bytes.subarray(at, end));
    total = addSums(total, sum(0, end - at));
  }
  return total;
}

const noKernel = { memory: null, sum: null } as const;

/** The sum of two ranges, the first of which has an even number of bytes. */
export function addSums(first: number, second: number): number {
  const sum = first + second;
  return sum > 0xffff ? sum - 0xffff : sum;
}

/**
 * What the sum of a range counts for when so many bytes are before it: behind an odd number of them the halves of its words change
 * places (RFC 1071, 2 (B)).
 */
export function sumAt(before: number, sum: number): number {
  return before % 2 === 0 ? sum : ((sum & 0xff) << 8) | (sum >> 8);
}

/** What stands in a packet for a sum: its complement. */
export function checksumOf(sum: number): number {
  return ~sum & 0xffff;
}

/** Memory whose bytes are summed where they are. */
export interface SummableBuffer {
  readonly bytes: Buffer;
  /** Nobody uses it any more; somebody else gets it. */
  readonly release: () => void;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** What is in use of the kernel's memory, by where it starts. */
const used: Range[] = [];

/** Some 1.9 MiB are there for all of this process; when they are in use, or without a kernel, the memory is as any other. */
export function allocateSummable(length: number): SummableBuffer {
  const { memory } = loaded() ?? noKernel;
  if (memory === null) return ordinary(length);
  let start = scratchBytes;
  const place = used.findIndex((range) => {
    if (range.start - start >= length) return true;
    start = range.end;
    return false;
  });
  if (place < 0 && memory.byteLength - start < length) return ordinary(length);
  const range = { start, end: start + length };
  used.splice(place < 0 ? used.length : place, 0, range);
  return {
    bytes: Buffer.from(memory, start, length),
    release: () => {
      const at = used.indexOf(range);
      if (at >= 0) used.splice(at, 1);
    },
  };
}

function ordinary(length: number): SummableBuffer {
  return { bytes: Buffer.allocUnsafeSlow(length), release: () => undefined };
}
