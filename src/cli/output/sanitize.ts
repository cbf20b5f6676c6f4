import { stripVTControlCharacters } from "node:util";

/**
 * Words of a guest or of an image's maker without what would steer the user's terminal. Line ends and tabs stay.
 */
export function sanitize(text: string): string {
  return stripVTControlCharacters(text).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}
