import { fieldValues, type HttpField } from "../http/message.ts";

/** What a body was coded with (RFC 9110, 8.4); null: nothing, so that it can be read. */
export function contentCodingOf(fields: readonly HttpField[]): string | null {
  const codings = fieldValues(fields, "content-encoding")
    .flatMap((value) => value.toLowerCase().split(","))
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "" && coding !== "identity");
  return codings.length === 0 ? null : codings.join(", ");
}
