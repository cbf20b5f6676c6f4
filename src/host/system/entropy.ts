import { closeSync, openSync, readSync } from "node:fs";

/** Random bytes straight from the host's kernel (random(4)); `node:crypto` would first have to be loaded. */
export function entropy(length: number): Uint8Array {
  const bytes = Buffer.alloc(length);
  const device = openSync("/dev/urandom", "r");
  try {
    for (let filled = 0; filled < length;) filled += readSync(device, bytes, filled, length - filled, null);
    return bytes;
  } finally {
    closeSync(device);
  }
}

/** So many random bytes as twice as many hexadecimal digits: a name that nothing else has. */
export function randomHex(length: number): string {
  return Buffer.from(entropy(length)).toString("hex");
}
