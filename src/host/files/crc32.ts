/** RFC 1952, bits reversed. */
const polynomial = 0xedb8_8320;
/** The polynomial 1, and x to the power of 8, in which a bit's place counts from the left. */
const one = 0x8000_0000;
const xPower8 = 0x0080_0000;

/**
 * A CRC-32 when `count` zero bytes follow, in the logarithm of their number: a hole of gigabytes is no work. What follows
 * multiplies the register, a polynomial over GF(2), by x to the power of eight times their number.
 */
export function crc32Zeros(count: number, checksum: number): number {
  let register = ~checksum >>> 0;
  let power = xPower8;
  for (let left = count; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) register = multiply(power, register);
    power = multiply(power, power);
  }
  return ~register >>> 0;
}

function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = one; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ polynomial;
  }
  return product >>> 0;
}

/** The CRC-32 of a few bytes, for what must not wait until node:zlib is loaded. */
export function crc32Few(bytes: Uint8Array): number {
  let register = 0xffff_ffff;
  for (const byte of bytes) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++)
      register = (register & 1) === 0 ? register >>> 1 : (register >>> 1) ^ polynomial;
  }
  return ~register >>> 0;
}
