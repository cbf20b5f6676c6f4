import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { PromptBodyFilter } from "../../http/inspector.ts";
import type { HttpField, ResponseHead } from "../../http/message.ts";
import type { Hit } from "../search/hit.ts";
import { PatternStream } from "../search/pattern-stream.ts";
import { Patterns } from "../search/patterns.ts";
import { rewrite } from "../search/rewrite.ts";

/** Bytes of a value. A shorter one would be found in everything, a longer one would keep back too much of every response. */
const [fewestBytes, mostBytes] = [4, 8192];

/** A value that may come back, and whose placeholder takes its place. */
export interface Echo {
  readonly secret: SecretConfig;
  readonly value: string;
}

/** Whether a value can be looked for. */
export function isScrubbable(value: string): boolean {
  const length = Buffer.byteLength(value);
  return length >= fewestBytes && length <= mostBytes;
}

/** Puts placeholders in the place of values, in what comes back from a server. */
export class ResponseScrub {
  readonly echoes: readonly Echo[];
  readonly #values: readonly Buffer[];
  readonly #placeholders: readonly Buffer[];
  readonly #patterns: Patterns;

  /** @param echoes each value once, all of them scrubbable */
  constructor(echoes: readonly Echo[]) {
    this.echoes = echoes;
    this.#values = echoes.map(({ value }) => Buffer.from(value));
    this.#placeholders = echoes.map(({ secret }) => Buffer.from(secret.placeholder));
    this.#patterns = new Patterns(this.#values);
  }

  head(head: ResponseHead): ResponseHead {
    const fields = this.fields(head.fields);
    return fields === head.fields ? head : { ...head, fields };
  }

  /** @returns the same array when no value is in it */
  fields(fields: readonly HttpField[]): readonly HttpField[] {
    const scrubbed = fields.map((field): HttpField => {
      const value = this.#scrubbed(field[1]);
      return value === field[1] ? field : [field[0], value];
    });
    return scrubbed.some((field, index) => field !== fields[index]) ? scrubbed : fields;
  }

  #scrubbed(text: string): string {
    const bytes = Buffer.from(text, "latin1");
    const hits: Hit[] = [];
    this.#patterns.find(bytes, bytes.length, hits, null);
    let result = "";
    let from = 0;
    for (const hit of hits) {
      if (hit.start < from) continue;
      const instead = this.#replace(hit, bytes.subarray(hit.start, hit.end));
      result += text.slice(from, hit.start) + instead.toString("latin1");
      from = hit.end;
    }
    return result + text.slice(from);
  }

  body(): PromptBodyFilter {
    const stream = new PatternStream(this.#patterns, "all", (hit, written) => this.#replace(hit, written));
    return { changesLength: true, push: (bytes) => stream.push(bytes), end: () => stream.end() };
  }

  #replace({ form, pattern }: Hit, written: Buffer): Buffer {
    const [value, placeholder] = [this.#values[pattern], this.#placeholders[pattern]];
    if (value === undefined || placeholder === undefined) throw new Error("a value that nobody looks for");
    return rewrite(form, written, value, placeholder);
  }
}
