import { stripVTControlCharacters } from "node:util";

/**
 * Steers terminals (C0 without tab and line end, DEL, C1), or shows text in another order than it has (the marks,
 * embeddings, overrides and isolates of Unicode's bidirectional algorithm, UAX 9, as in "Trojan Source").
 */
const steering = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** The line ends of Unicode that are none of ASCII's. */
const unicodeLineEnds = /[\u2028\u2029]/g;

/**
 * Words of a guest, of an image's maker or of a registry without what would steer the user's terminal. Line ends and tabs stay.
 */
export function sanitize(text: string): string {
  return stripVTControlCharacters(text).replace(steering, "").replace(unicodeLineEnds, "\n");
}

/** As `sanitize`, for what has its place in a line: line ends and tabs are shown as `\n` and `\t`, and make no line of their own. */
export function oneLine(text: string): string {
  return sanitize(text.replaceAll("\r\n", "\n")).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

/**
 * JSON as it was, spelled without the characters that `sanitize` takes out: JSON itself only escapes those below U+0020.
 *
 * @param text - what JSON.stringify returned; outside of strings it has none of them
 */
export function printableJson(text: string): string {
  return text.replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
