import { fieldValues, type HttpField, type RequestHead } from "./message.ts";
import { membersOf } from "./syntax.ts";

/** Protocols of `Upgrade`, in lower case. */
export function upgradesOf(fields: readonly HttpField[]): string[] {
  return fieldValues(fields, "upgrade").flatMap(membersOf);
}

/**
 * A server may pass over what it is offered (RFC 9110, 7.8), so an intermediary may too.
 *
 * @param mayPass is asked of names in lower case
 * @returns a head that offers nothing, if it offers any protocol that may not pass; else the same
 */
export function withoutUpgrade(head: RequestHead, mayPass: (protocol: string) => boolean): RequestHead {
  if (upgradesOf(head.fields).every(mayPass)) return head;
  const gone = new Set(["upgrade", "http2-settings"]);
  const fields: HttpField[] = [];
  for (const [name, value] of head.fields) {
    const lower = name.toLowerCase();
    if (gone.has(lower)) continue;
    if (lower !== "connection") fields.push([name, value]);
    else {
      const left = membersOf(value).filter((option) => !gone.has(option));
      if (left.length > 0) fields.push([name, left.join(", ")]);
    }
  }
  return { ...head, fields };
}
