import { randomBytes } from "node:crypto";

/**
 * Against content chosen to share a place in a table. Nothing that is written depends on the order of a table, so images
 * are the same whatever the seed.
 */
const seed = randomBytes(4).readUInt32LE();

/** Of a name (bytes as Latin-1) in a directory. */
export function hashName(directory: number, name: string): number {
  let state = step(seed, directory);
  for (let at = 0; at < name.length; at++) state = step(state, name.charCodeAt(at));
  return mixed(state);
}

export function hashBytes(bytes: Uint8Array): number {
  let state = seed;
  for (const byte of bytes) state = step(state, byte);
  return mixed(state);
}

/** FNV-1a. */
function step(state: number, value: number): number {
  return Math.imul(state ^ value, 0x0100_0193);
}

/** So that the low bits depend on all. */
function mixed(state: number): number {
  const folded = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d);
  return (folded ^ (folded >>> 13)) >>> 0;
}
