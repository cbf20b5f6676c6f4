import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { PromptBodyFilter } from "../../http/inspector.ts";
import type { BodyTerms } from "./body-terms.ts";
import type { CompiledSecrets } from "../compiled-secrets.ts";
import type { Exchange, Offence } from "../exchange.ts";
import { offence } from "./head-search.ts";
import type { Reporter } from "../reporter.ts";
import type { Hit } from "../search/hit.ts";
import { PatternStream } from "../search/pattern-stream.ts";
import { rewrite } from "../search/rewrite.ts";
import type { KnownValues } from "../values-for.ts";

/** Whether there is anything to look for. */
export function needsBodyFilter({ standings }: Exchange): boolean {
  return standings.some((one) => one.kind === "violation") || bodySecrets(standings).length > 0;
}

/** Those that are put into bodies. */
export function bodySecrets(standings: Exchange["standings"]): SecretConfig[] {
  return standings.flatMap((one) => inBody(one) ?? []);
}

function inBody(standing: Exchange["standings"][number] | undefined): SecretConfig | null {
  if (standing?.kind !== "eligible") return null;
  return standing.secrets.find(({ injection }) => injection.body) ?? null;
}

/** Watches what a guest sends, and replaces placeholders in it where that is wanted. */
export class RequestBody implements PromptBodyFilter {
  readonly changesLength: boolean;
  readonly #stream: PatternStream;
  readonly #exchange: Exchange;
  readonly #reporter: Reporter;
  /** null: nothing is put in, whatever secrets want. */
  readonly #terms: BodyTerms | null;
  readonly #values: KnownValues;
  readonly #bytes = new Map<string, Buffer>();
  readonly #location: Offence["location"];

  constructor(
    { patterns }: CompiledSecrets,
    exchange: Exchange,
    reporter: Reporter,
    terms: BodyTerms | null,
    values: KnownValues,
    location: Offence["location"],
  ) {
    this.#exchange = exchange;
    this.#reporter = reporter;
    this.#terms = terms;
    this.#values = values;
    this.#location = location;
    this.changesLength = terms?.impossible === null && bodySecrets(exchange.standings).length > 0;
    const replaced = (terms?.writing ?? null) === null ? "raw" : "text";
    this.#stream = new PatternStream(patterns, this.changesLength ? replaced : "none", (hit, written) =>
      this.#judge(hit, written),
    );
  }

  push(bytes: Buffer): readonly Buffer[] {
    return this.#stream.push(bytes);
  }

  end(): readonly Buffer[] {
    return this.#stream.end();
  }

  #judge({ pattern, form }: Hit, written: Buffer): Buffer | null {
    const { standings, subject } = this.#exchange;
    const standing = standings[pattern];
    const found = offence(standing, this.#location, form);
    if (found !== null) throw this.#reporter.offences([found], subject);
    const secret = inBody(standing);
    if (secret === null || this.#terms === null) return null;
    const { impossible, writing } = this.#terms;
    if (form !== "raw" && form !== writing) return null;
    if (impossible !== null) throw this.#reporter.stopped(secret, subject, "body", impossible);
    const value = this.#values.get(secret);
    if (value === undefined) throw this.#reporter.withoutValue(secret, subject);
    this.#exchange.putIn(secret, value);
    return rewrite(form, written, Buffer.from(secret.placeholder), this.#bytesOf(value));
  }

  /** The same memory each time: a body may be nothing but placeholders. */
  #bytesOf(value: string): Buffer {
    let bytes = this.#bytes.get(value);
    if (bytes === undefined) this.#bytes.set(value, (bytes = Buffer.from(value)));
    return bytes;
  }
}
