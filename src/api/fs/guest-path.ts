import { isUtf8 } from "node:buffer";
import { InvalidConfigError } from "../../errors/index.ts";
import { checkGuestPath } from "../../config/checks.ts";

/**
 * A path in the guest: absolute. Linux allows every byte but NUL in a name; what is no UTF-8 is said in bytes, and comes back as such
 * (`pathBytes`).
 */
export type GuestPath = string | Uint8Array;

/** Of a path with its NUL (include/uapi/linux/limits.h). */
const maximumPathBytes = 4096;

/** A path as it is sent. @throws InvalidConfigError when it cannot be one */
export function guestPath(name: string, path: unknown): Buffer {
  if (typeof path === "string") return Buffer.from(checkGuestPath(name, path));
  if (!(path instanceof Uint8Array)) {
    throw new InvalidConfigError(`${name} is neither text nor bytes`, {
      hint: "Give an absolute path of the guest as a string, or as a Uint8Array when it is no UTF-8.",
    });
  }
  const bytes = Buffer.from(path);
  if (bytes[0] !== 0x2f)
    throw new InvalidConfigError(`${name} is not an absolute path`, { hint: "Begin it with a /." });
  if (bytes.includes(0)) throw new InvalidConfigError(`${name} holds a NUL`);
  if (bytes.length >= maximumPathBytes)
    throw new InvalidConfigError(`${name} is longer than the ${maximumPathBytes - 1} bytes of a path`);
  return bytes;
}

/** A path as text to be read by people; bytes that are no UTF-8 become U+FFFD. */
export function pathText(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString("utf8");
}

/** Whether the text of a path says all of it. */
export function isTextPath(path: Uint8Array): boolean {
  return isUtf8(path);
}

/** The path of something in a directory. */
export function joinPath(directory: Uint8Array, below: Uint8Array): Buffer {
  if (below.length === 0) return Buffer.from(directory);
  const separator = directory.at(-1) === 0x2f ? "" : "/";
  return Buffer.concat([directory, Buffer.from(separator), below]);
}
