import { fieldValues, type HttpField, type RequestHead } from "../../http/message.ts";
import { contentCodingOf } from "../content-coding.ts";

/** What may be done to the body of a request. */
export interface BodyTerms {
  /** Why no secret is put into it; null: those are that want to be. */
  readonly impossible: string | null;
  /** How text is written in it besides byte by byte, so that a placeholder is replaced there too; null: in no other way. */
  readonly writing: "percent" | "json" | null;
}

export function bodyTermsOf({ version, fields }: RequestHead): BodyTerms {
  return { impossible: whyUnchanged(version, fields), writing: writingOf(fields) };
}

function whyUnchanged(version: RequestHead["version"], fields: readonly HttpField[]): string | null {
  if (version === "2") return "a body of HTTP/2 has its placeholder, and these are not changed";
  return contentCodingOf(fields) === null
    ? null
    : "a body with a content coding has its placeholder, and these are not changed";
}

function writingOf(fields: readonly HttpField[]): BodyTerms["writing"] {
  const types = fieldValues(fields, "content-type");
  const type = types.length === 1 ? (types[0] ?? "").split(";", 1)[0]?.trim().toLowerCase() : undefined;
  if (type === "application/x-www-form-urlencoded") return "percent";
  return type === "application/json" || type?.endsWith("+json") === true ? "json" : null;
}

/** HTTP/1 says so in the head (RFC 9112, 6.3), HTTP/2 does not. */
export function hasBody({ version, fields }: RequestHead): boolean {
  if (version === "2") return true;
  const lengths = fieldValues(fields, "content-length");
  return lengths.some((length) => length !== "0") || fieldValues(fields, "transfer-encoding").length > 0;
}
