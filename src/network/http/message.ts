/** A header field. Both are text with one code unit for each byte (latin1); the name is as it was written. */
export type HttpField = readonly [name: string, value: string];

/** The head of a request, as both versions of HTTP have it. */
export interface RequestHead {
  readonly version: "1.0" | "1.1" | "2";
  readonly method: string;
  /** HTTP/1: the request target as it was written. HTTP/2: `:path`, or `:authority` for CONNECT. Latin1, as fields. */
  readonly target: string;
  /** HTTP/2: `:authority`. HTTP/1: null; it is in `Host` or the target. */
  readonly authority: string | null;
  /** In order, without pseudo-header fields. */
  readonly fields: readonly HttpField[];
}

/** The head of a response: not of one that only informs (1xx but 101). */
export interface ResponseHead {
  readonly status: number;
  readonly fields: readonly HttpField[];
}

/** Of all fields of a name, in order. @param name in lower case */
export function fieldValues(fields: readonly HttpField[], name: string): string[] {
  return fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}
