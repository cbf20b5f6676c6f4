import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { NetworkEvent } from "../events.ts";
import type { Channel } from "../http/channel.ts";
import type { MaybePromise, PromptBodyFilter } from "../http/inspector.ts";
import type { HttpField, RequestHead, ResponseHead } from "../http/message.ts";
import { bodyTermsOf, hasBody } from "./request/body-terms.ts";
import type { ChannelSecrets, GuardedRequest, GuardedResponse, SecretSettings } from "./channel-secrets.ts";
import { type CompiledSecrets, compileSecrets } from "./compiled-secrets.ts";
import { Exchange, type Offence, type Subject, subjectOf } from "./exchange.ts";
import { addsTooMuch, editHead, unfitFor } from "./request/head-edit.ts";
import { type Edit, type HeadFindings, searchHead, searchTrailers } from "./request/head-search.ts";
import { Reporter } from "./reporter.ts";
import { bodySecrets, needsBodyFilter, RequestBody } from "./request/request-body.ts";
import { ResponseGuard } from "./response/response-guard.ts";
import { type Standing, standingOf } from "./standing.ts";
import { type KnownValues, valuesFor } from "./values-for.ts";

/** @param emit is told violations, and what could not be done */
export function guardChannel(
  settings: SecretSettings,
  channel: Channel,
  emit: (event: NetworkEvent) => void,
): ChannelSecrets {
  return new ChannelGuard(settings, channel, emit);
}

class ChannelGuard implements ChannelSecrets {
  readonly #settings: SecretSettings;
  readonly #compiled: CompiledSecrets;
  readonly #channel: Channel;
  readonly #reporter: Reporter;
  /** By the head that was sent. */
  readonly #exchanges = new WeakMap<RequestHead, Exchange>();
  readonly #responses: ResponseGuard;

  constructor(settings: SecretSettings, channel: Channel, emit: (event: NetworkEvent) => void) {
    this.#settings = settings;
    this.#compiled = compileSecrets(settings.secrets);
    this.#channel = channel;
    this.#reporter = new Reporter(channel, emit, settings.terminate);
    this.#responses = new ResponseGuard(settings.secrets, settings.values, this.#reporter);
  }

  request(head: RequestHead, host: string | null): MaybePromise<GuardedRequest> {
    const isConnect = this.#channel.kind === "connect" || head.method === "CONNECT";
    const exchange = this.#begin(subjectOf(head, isConnect, host), isConnect);
    const found = searchHead(head, this.#compiled, exchange.standings);
    this.#refuse(found.offences, exchange.subject);
    const wanted = found.edits.flatMap(secretsIn);
    if (hasBody(head) && bodyTermsOf(head).impossible === null)
      wanted.push(...bodySecrets(exchange.standings));
    const values = valuesFor(wanted, this.#nameOf(exchange), this.#settings.values);
    return values instanceof Promise
      ? values.then((known) => this.#send(head, exchange, found, known))
      : this.#send(head, exchange, found, values);
  }

  trailers(fields: readonly HttpField[], request: RequestHead): readonly HttpField[] {
    const exchange = this.#exchanges.get(request);
    if (exchange !== undefined)
      this.#refuse(searchTrailers(fields, this.#compiled, exchange.standings), exchange.subject);
    return fields;
  }

  response(head: ResponseHead, request: RequestHead): MaybePromise<GuardedResponse> {
    const exchange = this.#exchanges.get(request);
    if (exchange === undefined) return { head, body: null };
    const host = this.#nameOf(exchange);
    const verdict = this.#responses.inspect(head, exchange, host);
    // Last: looking for the value in the response is no next use of it.
    if (head.status === 401)
      for (const envVar of exchange.secrets) this.#settings.values.refused(envVar, host);
    return verdict;
  }

  responseFields(fields: readonly HttpField[], request: RequestHead): readonly HttpField[] {
    const exchange = this.#exchanges.get(request);
    return exchange === undefined ? fields : this.#responses.fields(fields, exchange);
  }

  raw(upgrade: RequestHead | null): PromptBodyFilter {
    const before = upgrade === null ? undefined : this.#exchanges.get(upgrade)?.subject;
    const { host, method, path } = before ?? { host: null, method: null, path: null };
    const exchange = this.#begin({ protocol: "other", host, method, path }, false);
    return new RequestBody(this.#compiled, exchange, this.#reporter, null, new Map(), "other");
  }

  #begin(subject: Subject, isConnect: boolean): Exchange {
    const { placeholders, unusable } = this.#compiled;
    if (unusable !== null)
      throw this.#reporter.stopped(
        unusable,
        subject,
        "placeholder",
        "its placeholder is empty or longer than 1,024 bytes",
      );
    const channel = this.#channel;
    const { host } = subject;
    let name = host;
    // What TLS has proved counts. That a request is for the same host was seen to before; it cannot hurt to see to it again.
    if (channel.kind === "tls")
      name = host === null || host === channel.serverName ? channel.serverName : null;
    const { secretViolation } = this.#settings;
    const ofChannel = placeholders.map((one) => standingOf(one, channel, name, isConnect, secretViolation));
    // A server says a TRACE back as it came (RFC 9110, 9.3.8): whoever may ask for that would be told the value.
    const isTrace = subject.method?.toUpperCase() === "TRACE";
    const standings = isTrace ? ofChannel.map(withoutValue) : ofChannel;
    return new Exchange(subject, name, standings);
  }

  #nameOf({ name, subject }: Exchange): string {
    return name ?? subject.host ?? this.#channel.address;
  }

  #refuse(offences: readonly Offence[], subject: Subject): void {
    const [first, ...others] = offences;
    if (first !== undefined) throw this.#reporter.offences([first, ...others], subject);
  }

  #send(head: RequestHead, exchange: Exchange, { edits }: HeadFindings, values: KnownValues): GuardedRequest {
    const { subject } = exchange;
    for (const edit of edits)
      for (const secret of secretsIn(edit)) {
        const value = values.get(secret);
        if (value === undefined) throw this.#reporter.withoutValue(secret, subject);
        const unfit = unfitFor(edit, value);
        if (unfit !== null) throw this.#reporter.stopped(secret, subject, "unfit-value", unfit);
      }
    const valueOf = (secret: SecretConfig): string => values.get(secret) ?? "";
    const isTooMuch = addsTooMuch(edits, valueOf);
    for (const secret of new Set(edits.flatMap(secretsIn))) {
      if (isTooMuch)
        throw this.#reporter.stopped(secret, subject, "unfit-value", "so much of it makes the head too long");
      exchange.putIn(secret, valueOf(secret));
    }
    const sent = edits.length === 0 ? head : editHead(head, edits, valueOf);
    this.#exchanges.set(sent, exchange);
    const terms = bodyTermsOf(head);
    const body =
      hasBody(head) && needsBodyFilter(exchange)
        ? new RequestBody(this.#compiled, exchange, this.#reporter, terms, values, "body")
        : null;
    return { head: sent, body, secrets: exchange.secrets };
  }
}

/** What may have the value gets the placeholder. */
function withoutValue(standing: Standing): Standing {
  return standing.kind === "eligible" ? { kind: "inert" } : standing;
}

function secretsIn({ parts }: Edit): SecretConfig[] {
  return parts.filter((part) => typeof part !== "string");
}
