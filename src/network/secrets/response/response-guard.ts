import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { MaybePromise } from "../../http/inspector.ts";
import type { HttpField, ResponseHead } from "../../http/message.ts";
import type { GuardedResponse } from "../channel-secrets.ts";
import { contentCodingOf } from "../content-coding.ts";
import type { Exchange } from "../exchange.ts";
import type { Reporter } from "../reporter.ts";
import { type Echo, isScrubbable, ResponseScrub } from "./response-scrub.ts";
import type { SecretValues } from "../secret-values.ts";
import { isMeantFor } from "../standing.ts";
import { type KnownValues, valuesFor } from "../values-for.ts";

/** Of one secret: what a server was sent may come back later. */
const mostRemembered = 4;

/** Looks at the responses of one connection. */
export class ResponseGuard {
  readonly #wanted: readonly SecretConfig[];
  readonly #values: SecretValues;
  readonly #reporter: Reporter;
  /** Values that were put in on this connection, the latest first. */
  readonly #sent = new Map<SecretConfig, readonly string[]>();
  readonly #told = new Set<SecretConfig>();
  #scrub = new ResponseScrub([]);
  /** Of responses whose heads have come. */
  readonly #scrubs = new WeakMap<Exchange, ResponseScrub>();

  constructor(secrets: readonly SecretConfig[], values: SecretValues, reporter: Reporter) {
    this.#wanted = secrets.filter(({ scrubResponses }) => scrubResponses);
    this.#values = values;
    this.#reporter = reporter;
  }

  /** @param host that values are asked for */
  inspect(head: ResponseHead, exchange: Exchange, host: string): MaybePromise<GuardedResponse> {
    const secrets = this.#wanted.filter((secret) => isMeantFor(secret, exchange.name));
    if (secrets.length === 0) return { head, body: null };
    const known = valuesFor(secrets, host, this.#values);
    return known instanceof Promise
      ? known.then((values) => this.#scrubbed(head, exchange, secrets, values))
      : this.#scrubbed(head, exchange, secrets, known);
  }

  /** What comes before the head is about what the server was sent: nobody waits for other values there. */
  fields(fields: readonly HttpField[], exchange: Exchange): readonly HttpField[] {
    const known = this.#scrubs.get(exchange);
    if (known !== undefined) return known.fields(fields);
    const secrets = this.#wanted.filter((secret) => exchange.values.has(secret) || this.#sent.has(secret));
    const echoes = this.#echoesOf(secrets, exchange, new Map());
    return echoes.length === 0 ? fields : this.#scrubFor(echoes).fields(fields);
  }

  #scrubbed(
    head: ResponseHead,
    exchange: Exchange,
    secrets: readonly SecretConfig[],
    current: KnownValues,
  ): GuardedResponse {
    const echoes = this.#echoesOf(secrets, exchange, current);
    if (echoes.length === 0) return { head, body: null };
    const scrub = this.#scrubFor(echoes);
    this.#scrubs.set(exchange, scrub);
    // Written anew: the words after the status, which are in no head, could have a value in them.
    const verdict = { head: { ...scrub.head(head) }, body: null };
    const isBodyless = exchange.subject.method === "HEAD" || [101, 204, 304].includes(head.status);
    if (isBodyless) return verdict;
    const coding = contentCodingOf(head.fields);
    if (coding === null) return { ...verdict, body: scrub.body() };
    const users = new Set(scrub.echoes.map(({ secret }) => secret));
    for (const secret of users)
      this.#unscrubbed(secret, exchange, `the body has the content coding ${coding.slice(0, 64)}`);
    return verdict;
  }

  /** Each value once. */
  #echoesOf(secrets: readonly SecretConfig[], exchange: Exchange, current: KnownValues): readonly Echo[] {
    const echoes = new Map<string, Echo>();
    for (const secret of secrets)
      for (const value of this.#valuesOf(secret, exchange, current))
        if (isScrubbable(value)) echoes.set(value, { secret, value });
        else this.#unscrubbed(secret, exchange, "its value is shorter than 4 bytes or longer than 8,192");
    return [...echoes.values()];
  }

  #valuesOf(secret: SecretConfig, { values }: Exchange, current: KnownValues): readonly string[] {
    const now = [values.get(secret), current.get(secret)].filter((value) => value !== undefined);
    const all = [...new Set([...now, ...(this.#sent.get(secret) ?? [])])].slice(0, mostRemembered);
    this.#sent.set(secret, all);
    return all;
  }

  /** Made once for values that stay, which they nearly always do. */
  #scrubFor(echoes: readonly Echo[]): ResponseScrub {
    const last = this.#scrub.echoes;
    const isSame =
      last.length === echoes.length &&
      echoes.every(
        ({ secret, value }, index) => last[index]?.secret === secret && last[index].value === value,
      );
    if (!isSame) this.#scrub = new ResponseScrub(echoes);
    return this.#scrub;
  }

  /** Once for each connection: most servers would have it told with every response. */
  #unscrubbed(secret: SecretConfig, { subject }: Exchange, reason: string): void {
    if (this.#told.has(secret)) return;
    this.#told.add(secret);
    this.#reporter.problem(secret, subject, "unscrubbed", reason);
  }
}
