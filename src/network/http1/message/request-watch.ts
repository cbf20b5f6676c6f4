import { Malformed } from "./malformed.ts";

/** An HTTP server has given up by then. */
const watchedBytes = 64 * 1024;
/** The end of a request line, as the most lenient server would read it. */
const requestLineEnd = /HTTP\/[0-9]{1,9}(?:\.[0-9]{1,9})?[\t\v\f\r ]*\n/i;
/** Its longest part, when many blanks are one. */
const tailLength = 64;

/**
 * Looks for a request in what is no HTTP, in case that a server skips what it does not understand. The line is found before its end is
 * passed on. It is over when the server has said something that no HTTP server says, or after 64 KiB.
 */
export class RequestWatch {
  #tail = "";
  #left = watchedBytes;

  /** @throws Malformed */
  look(bytes: Buffer): void {
    if (this.#left <= 0) return;
    const text = this.#tail + bytes.toString("latin1", 0, this.#left);
    if (requestLineEnd.test(text)) throw new Malformed("a request after what is none");
    this.#tail = tailOf(text);
    this.#left -= bytes.length;
  }

  end(): void {
    this.#left = 0;
    this.#tail = "";
  }
}

/** With one blank for all that are at its end. */
function tailOf(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  const rest = text.slice(Math.max(0, end - tailLength), end);
  return end < text.length ? `${rest} ` : rest;
}

/** `\t`, `\v`, `\f`, `\r` or a space. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || (code >= 0x0b && code <= 0x0d);
}
