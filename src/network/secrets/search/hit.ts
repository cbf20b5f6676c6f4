/**
 * How a pattern may be written. `raw`: byte by byte. `percent`: some bytes as %24 (RFC 3986, 2.1), a space as +. `json`: some characters as
 * \u0024 or \/ (RFC 8259, 7). `base64`: anywhere in such text, of either alphabet (RFC 4648). `utf-16`: of either byte order, ASCII alone.
 */
export type Form = "raw" | "percent" | "json" | "base64" | "utf-16";

/** Where a pattern is written. */
export interface Hit {
  readonly start: number;
  /** Behind its last byte. */
  readonly end: number;
  /** Its index. */
  readonly pattern: number;
  readonly form: Form;
}

/** Where something begins of which more bytes will tell what it is, the first of each kind; infinite: nowhere. */
export class Undecided {
  /** A whole pattern, and maybe a longer one. */
  whole = Number.POSITIVE_INFINITY;
  /** The beginning of a pattern, as raw bytes. */
  raw = Number.POSITIVE_INFINITY;
  /** The beginning of a pattern in another form. */
  coded = Number.POSITIVE_INFINITY;

  shift(by: number): void {
    this.whole += by;
    this.raw += by;
    this.coded += by;
  }
}
