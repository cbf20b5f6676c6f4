import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { HttpField, RequestHead } from "../../http/message.ts";
import type { CompiledSecrets } from "../compiled-secrets.ts";
import type { Offence } from "../exchange.ts";
import type { Form, Hit } from "../search/hit.ts";
import type { Standing } from "../standing.ts";

/** Something in a head that is to be written anew. */
export interface Edit {
  /** Index of the field; -1: the target. */
  readonly field: number;
  readonly start: number;
  readonly end: number;
  /** What will be there: text as it is, and the values of secrets. */
  readonly parts: readonly (string | SecretConfig)[];
  /** How that is written. */
  readonly coding: "field" | "query" | "percent" | "basic";
}

export interface HeadFindings {
  readonly offences: readonly Offence[];
  readonly edits: readonly Edit[];
}

/** They say where a request goes and how long it is, which was decided before anything is put in. */
const fixedFields = new Set([
  ...["connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-connection"],
  ...["te", "trailer", "transfer-encoding", "upgrade"],
]);

/** Where placeholders are in a head, which of them may not be there, and what the others are to become. */
export function searchHead(
  head: RequestHead,
  { patterns }: CompiledSecrets,
  standings: readonly Standing[],
): HeadFindings {
  const parts = [head.target, ...head.fields.flat(), head.method, head.authority ?? ""];
  const hits: Hit[] = [];
  // No placeholder has a newline in it, so none is found across the border of two parts.
  const text = Buffer.from(parts.join("\n"), "latin1");
  patterns.find(text, text.length, hits, null);
  let start = 0;
  let index = 0;
  const credentials = head.fields.map(([name, value]) => basicCredentials(name, value));
  const search = new HeadSearch(head, standings, credentials);
  for (const hit of hits) {
    for (let part = parts[index] ?? ""; start + part.length < hit.end; part = parts[index] ?? "") {
      start += part.length + 1;
      index++;
    }
    search.inText(index, { ...hit, start: hit.start - start, end: hit.end - start });
  }
  for (const [field, basic] of credentials.entries()) {
    if (basic === null) continue;
    const decoded: Hit[] = [];
    patterns.find(basic.decoded, basic.decoded.length, decoded, null);
    if (decoded.length > 0) search.inCredentials(field, basic, decoded);
  }
  return search.findings();
}

/** The trailer section: nothing is put in there. */
export function searchTrailers(
  fields: readonly HttpField[],
  { patterns }: CompiledSecrets,
  standings: readonly Standing[],
): Offence[] {
  const text = Buffer.from(fields.flat().join("\n"), "latin1");
  const hits: Hit[] = [];
  patterns.find(text, text.length, hits, null);
  return hits.flatMap((hit) => offence(standings[hit.pattern], "trailer", hit.form) ?? []);
}

/** @returns null: it is none */
export function offence(
  standing: Standing | undefined,
  location: Offence["location"],
  form: Form,
): Offence | null {
  if (standing?.kind !== "violation") return null;
  return { secret: standing.secret, action: standing.action, location, form };
}

interface BasicCredentials {
  /** Of the base64 in the field's value. */
  readonly start: number;
  readonly decoded: Buffer;
}

function isCredentials(name: string): boolean {
  return /^(?:proxy-)?authorization$/i.test(name);
}

/** RFC 7617, 2. Decoded as servers do that forgive much. */
function basicCredentials(name: string, value: string): BasicCredentials | null {
  if (!isCredentials(name)) return null;
  const scheme = /^[ \t]*basic[ \t]+/i.exec(value);
  if (scheme === null) return null;
  const start = scheme[0].length;
  return { start, decoded: Buffer.from(value.slice(start), "base64") };
}

class HeadSearch {
  readonly #offences: Offence[] = [];
  readonly #edits: Edit[] = [];
  /** By field. */
  readonly #basic = new Map<number, Edit>();
  readonly #head: RequestHead;
  readonly #standings: readonly Standing[];
  readonly #credentials: readonly (BasicCredentials | null)[];
  readonly #query: number;

  /** @param credentials of each field; null: it has none */
  constructor(
    head: RequestHead,
    standings: readonly Standing[],
    credentials: readonly (BasicCredentials | null)[],
  ) {
    this.#credentials = credentials;
    this.#head = head;
    this.#standings = standings;
    const query = head.target.indexOf("?");
    this.#query = query < 0 ? head.target.length : query + 1;
  }

  /** @param part 0: the target; then names and values of fields in turn; then what else there is of the first line */
  inText(part: number, hit: Hit): void {
    const standing = this.#standings[hit.pattern];
    if (part === 0) {
      this.#inTarget(hit, standing);
      return;
    }
    const field = (part - 1) >> 1;
    if (field >= this.#head.fields.length) {
      this.#isOffence(standing, "target", hit.form);
      return;
    }
    const isValue = part % 2 === 0;
    const [name] = this.#head.fields[field] ?? [""];
    // Looked at when it is decoded.
    if (hit.form === "base64" && isValue && this.#credentials[field] !== null) return;
    if (this.#isOffence(standing, "header", hit.form)) return;
    if (standing?.kind !== "eligible" || hit.form !== "raw" || !isValue) return;
    const key = name.toLowerCase();
    if (fixedFields.has(key)) return;
    const secret = standing.secrets.find(
      ({ injection: { headers } }) => headers === true || (headers !== false && headers.includes(key)),
    );
    if (secret !== undefined) this.#edit({ field, ...hit, parts: [secret], coding: "field" });
  }

  #inTarget(hit: Hit, standing: Standing | undefined): void {
    const isInQuery = hit.start >= this.#query;
    if (this.#isOffence(standing, isInQuery ? "query" : "target", hit.form)) return;
    if (standing?.kind !== "eligible" || !isInQuery) return;
    const secret = standing.secrets.find(({ injection }) => injection.queryParams);
    if (secret === undefined) return;
    if (hit.form === "raw") this.#edit({ field: -1, ...hit, parts: [secret], coding: "query" });
    // Most clients write what is in a query like that.
    if (hit.form === "percent") this.#edit({ field: -1, ...hit, parts: [secret], coding: "percent" });
  }

  inCredentials(field: number, { start, decoded }: BasicCredentials, hits: readonly Hit[]): void {
    const [name, value] = this.#head.fields[field] ?? ["", ""];
    const parts: (string | SecretConfig)[] = [];
    let from = 0;
    for (const hit of hits) {
      const standing = this.#standings[hit.pattern];
      if (this.#isOffence(standing, "basic-auth", "base64")) continue;
      if (standing?.kind !== "eligible" || hit.form !== "raw" || hit.start < from) continue;
      const secret = standing.secrets.find(({ injection }) => injection.basicAuth);
      if (secret === undefined || name.toLowerCase() !== "authorization") continue;
      parts.push(decoded.toString("latin1", from, hit.start), secret);
      from = hit.end;
    }
    if (parts.length === 0) return;
    parts.push(decoded.toString("latin1", from));
    this.#basic.set(field, { field, start, end: value.length, parts, coding: "basic" });
  }

  findings(): HeadFindings {
    // Where credentials are written anew, nothing else is replaced.
    const others = this.#edits.filter(({ field }) => !this.#basic.has(field));
    return { offences: this.#offences, edits: [...others, ...this.#basic.values()] };
  }

  #isOffence(standing: Standing | undefined, location: Offence["location"], form: Form): boolean {
    const found = offence(standing, location, form);
    if (found === null) return false;
    this.#offences.push(found);
    return true;
  }

  /** Hits come in order; one that begins within another is left as it is. */
  #edit(edit: Edit): void {
    const last = this.#edits.at(-1);
    if (last !== undefined && last.field === edit.field && edit.start < last.end) return;
    this.#edits.push(edit);
  }
}
