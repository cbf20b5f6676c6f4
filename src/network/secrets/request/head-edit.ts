import { notInField, notInQuery } from "../../../config/network/interception/builders/secret-value.ts";
import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { HttpField, RequestHead } from "../../http/message.ts";
import type { Edit } from "./head-search.ts";
import { percentEncoded } from "../search/rewrite.ts";

/**
 * Whether a value may be written where a placeholder stands.
 *
 * @returns a few words when not
 */
export function unfitFor({ coding }: Edit, value: string): string | null {
  if (notInField.test(value))
    return "its value has a control character, such as a newline, which no field may have";
  if (coding === "query" && notInQuery.test(value))
    return "its value has a character that no query may have as it is, such as a space";
  return null;
}

/** Bytes: a guest could have a value put in so often that the host runs out of memory. */
const mostAdded = 65_536;

/** Whether so much would be added to a head that no server takes it. */
export function addsTooMuch(edits: readonly Edit[], valueOf: (secret: SecretConfig) => string): boolean {
  let added = 0;
  for (const { parts } of edits)
    for (const part of parts) if (typeof part !== "string") added += Buffer.byteLength(valueOf(part));
  return added > mostAdded;
}

/** @param valueOf one that fits */
export function editHead(
  head: RequestHead,
  edits: readonly Edit[],
  valueOf: (secret: SecretConfig) => string,
): RequestHead {
  const byField = Map.groupBy(edits, ({ field }) => field);
  const written = (field: number, text: string): string => {
    let result = "";
    let from = 0;
    for (const edit of byField.get(field) ?? []) {
      result += text.slice(from, edit.start) + write(edit, valueOf);
      from = edit.end;
    }
    return result + text.slice(from);
  };
  return {
    ...head,
    target: written(-1, head.target),
    fields: head.fields.map((field, index): HttpField =>
      byField.has(index) ? [field[0], written(index, field[1])] : field,
    ),
  };
}

function write({ parts, coding }: Edit, valueOf: (secret: SecretConfig) => string): string {
  const bytes = parts
    .map((part) => (typeof part === "string" ? part : Buffer.from(valueOf(part)).toString("latin1")))
    .join("");
  if (coding === "basic") return Buffer.from(bytes, "latin1").toString("base64");
  return coding === "percent" ? percentEncoded(bytes) : bytes;
}
