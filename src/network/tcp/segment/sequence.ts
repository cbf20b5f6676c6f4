/**
 * Sequence numbers (RFC 9293, 3.4): modulo 2³², here as signed 32-bit numbers, which the engine keeps without a box.
 * All arithmetic on them ends in `| 0`.
 */

/** How far `a` is after `b`: negative when before. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function isAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function add(sequence: number, bytes: number): number {
  return (sequence + bytes) | 0;
}
