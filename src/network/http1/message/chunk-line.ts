import { tokenCharacter } from "../../http/syntax.ts";
import { maxExtensionBytes } from "./limits.ts";
import { Malformed } from "./malformed.ts";

/**
 * RFC 9112, 7.1: at most 8 digits, so that no program's number is too short for it, and no spaces, which are only known from attempts
 * to be read in two ways. Extensions have names, and values that are tokens or quoted.
 */
const chunkLine = new RegExp(
  `^([0-9A-Fa-f]{1,8})((?:;${tokenCharacter}+(?:=(?:${tokenCharacter}+|` +
    String.raw`"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*)\r\n$`,
);

/** The lines before the chunks of one body. */
export class ChunkLines {
  #extensionBytes = 0;

  /**
   * @param line with its CRLF
   * @returns how many bytes the chunk has; 0: it is the last
   * @throws Malformed
   */
  sizeIn(line: Buffer): number {
    const match = chunkLine.exec(line.toString("latin1", 0, line.length));
    if (match === null) throw new Malformed("the size of a chunk is none");
    this.#extensionBytes += (match[2] ?? "").length;
    if (this.#extensionBytes > maxExtensionBytes) throw new Malformed("too many extensions of chunks");
    return Number.parseInt(match[1] ?? "", 16);
  }
}
