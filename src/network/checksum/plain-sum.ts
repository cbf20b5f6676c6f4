/**
 * The ones' complement sum (RFC 1071) of the 16-bit words in `bytes[from, to)`, in network order; the last byte of an odd number counts as
 * the upper half of a word.
 */
export function plainSum(bytes: Uint8Array, from: number, to: number): number {
  // Exact as long as there are no more than 2^53 / 2^16 words.
  let sum = 0;
  let at = from;
  for (const last = to - 1; at < last; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  if (at < to) sum += (bytes[at] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000);
  return sum;
}
