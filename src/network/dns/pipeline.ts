import { dnsPort } from "../../config/network/nameserver.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import type { DnsAnswered } from "../events.ts";
import type { Verdict } from "../policy/verdict.ts";
import { ServerChoice, type ServerSources } from "./choice.ts";
import { filterAnswer } from "./filter/answer-filter.ts";
import { isRebinding } from "./filter/rebinding.ts";
import { resolvedAddresses } from "./filter/resolved.ts";
import type { Answer } from "./message/answer.ts";
import { extendedErrors, rcodes, types } from "./message/codes.ts";
import type { Query } from "./message/query.ts";
import { localResponse, type LocalAnswer } from "./message/response.ts";
import { rewriteAnswer } from "./message/rewrite.ts";
import { NameLimits } from "./name-limits.ts";
import type { DnsQuestion, DnsResolverOptions } from "./resolver.ts";
import { udpLimit } from "./upstream/question-message.ts";
import { NoAnswer } from "./upstream/server.ts";
import { Upstreams } from "./upstream/upstreams.ts";

/** The host, as guests call it. */
export const hostAlias = "host.microsandbox.internal";
const aliasTtlSeconds = 60;
/**
 * A name stands for its addresses so long at least, and so long at most, seconds. Resolvers count times down, so a second may be all
 * that is left of one, and a program in a guest may wait for the answer to its other question before it connects.
 */
const leastBindingSeconds = 10;
const mostBindingSeconds = 7 * 24 * 3600;
const deniedName = "the sandbox's policy denies this name";
/** Of one answer, in an event. */
const mostToldAddresses = 64;

/** What becomes of a question. */
export interface Reply extends Pick<DnsAnswered, "outcome" | "addresses" | "rule"> {
  readonly message: Buffer;
  readonly rcode: number;
}

/** What is done with a question that can be read, one step after the other. */
export class Pipeline {
  readonly #options: DnsResolverOptions;
  readonly #choice: ServerChoice;
  readonly #limits: NameLimits;
  readonly #upstreams: Upstreams;
  readonly #isFiltering: boolean;

  constructor(options: DnsResolverOptions, sources: ServerSources = {}) {
    const { dns, deploymentProfile } = options.config;
    this.#options = options;
    this.#choice = new ServerChoice(options, sources);
    this.#limits = new NameLimits(dns);
    this.#upstreams = new Upstreams(dns.queryTimeoutMs);
    this.#isFiltering = dns.rebindProtection || deploymentProfile === "multi-tenant";
  }

  isGateway(resolver: IpAddress): boolean {
    return this.#choice.isGateway(resolver);
  }

  close(): void {
    this.#upstreams.close();
  }

  /** @returns null when there is nobody to ask @throws what the signal says; NoAnswer when it is closed meanwhile */
  async answer(query: Query, asked: DnsQuestion, signal: AbortSignal): Promise<Reply | null> {
    const { policy, bindings, addresses } = this.#options;
    const name = query.name.text;
    const decide = (): Verdict =>
      policy.query(name === "" ? null : name, { protocol: asked.transport, port: dnsPort });
    const { action, rule } = decide();
    if (action !== "allow") return blocked(query, rule, deniedName);

    const family = query.type === types.A ? 4 : query.type === types.AAAA ? 6 : null;
    if (family !== null && addresses[`ipv${family}`] === null) {
      // Not NXDOMAIN: for some resolvers that is about the other family as well.
      bindings.clear(name, family);
      return local(query, { rcode: rcodes.NOERROR }, "answered", rule);
    }
    if (name === hostAlias) {
      const own = family === null ? undefined : addresses[`ipv${family}`]?.gateway;
      const found = own === undefined ? [] : [own];
      return local(
        query,
        { rcode: rcodes.NOERROR, addresses: found, ttlSeconds: aliasTtlSeconds, isAuthoritative: true },
        "answered",
        rule,
      );
    }

    const choice = await this.#choice.of(query, asked);
    if (choice.kind === "denied")
      return blocked(query, choice.rule, "the sandbox's policy denies this resolver");
    if (choice.servers.length === 0) return null;
    if (this.#limits.isTooLong(query.name)) return limited(query, rule, "the name is too long");
    const question = {
      query,
      transport: asked.transport,
      servers: choice.servers,
      mayLeave: () => decide().action === "allow" && this.#limits.take(query.name),
    };
    const answer = await this.#upstreams.ask(question, signal).catch((error: unknown) => {
      if (!(error instanceof NoAnswer) || error.isGivenUp) throw error;
      return error;
    });
    // The policy may be another one by now.
    const now = decide();
    if (now.action !== "allow") return blocked(query, now.rule, deniedName);
    if (answer === null) return limited(query, now.rule, "too many questions about this domain");
    if (!(answer instanceof NoAnswer)) return this.#told(query, asked, answer, now.rule);
    const extendedError = { code: extendedErrors.networkError, text: answer.message };
    return local(query, { rcode: rcodes.SERVFAIL, extendedError }, "failed", now.rule);
  }

  /** What the guest is told of what a server said. */
  #told(query: Query, { transport }: DnsQuestion, answer: Answer, rule: number | null): Reply {
    const { rcode } = answer;
    if (answer.isTruncated)
      return local(query, { rcode: rcodes.NOERROR, isTruncated: true }, "answered", rule);
    if (answer.isBare) return local(query, { rcode }, "answered", rule);
    const { policy, readsTls } = this.#options;
    const filtered = filterAnswer(answer, {
      isAddressKept: (address) =>
        !this.#isFiltering || !isRebinding(address) || policy.isRebindException(address),
      isEchStripped: policy.hasDomainRules || readsTls?.() === true,
    });
    const records = filtered.kept.map(({ record }) => record);
    const addresses = this.#bind(query, answer, records);
    const outcome = filtered.addressesRemoved > 0 ? "filtered" : "answered";
    const isAddressQuery = query.type === types.A || query.type === types.AAAA;
    const isNoneLeft =
      isAddressQuery &&
      filtered.addressesRemoved > 0 &&
      !records.some(({ section, type }) => section === "answer" && type === query.type);
    if (isNoneLeft) {
      const extendedError = { code: extendedErrors.filtered, text: "private addresses were left out" };
      return local(query, { rcode, extendedError }, outcome, rule);
    }
    const message = filtered.isChanged
      ? rewriteAnswer(answer, query.question, filtered.kept)
      : answer.message;
    if (message === null) return local(query, { rcode: rcodes.SERVFAIL }, "failed", rule);
    if (transport === "udp" && message.length > udpLimit(query.edns))
      return local(query, { rcode: rcodes.NOERROR, isTruncated: true }, outcome, rule);
    message.writeUInt16BE(query.id, 0);
    return { message, outcome, rcode, addresses: addresses.slice(0, mostToldAddresses).map(String), rule };
  }

  /** Notes what the name stands for now. @returns its addresses */
  #bind(query: Query, answer: Answer, records: Answer["records"]): readonly IpAddress[] {
    const { bindings } = this.#options;
    const family = query.type === types.A ? 4 : query.type === types.AAAA ? 6 : null;
    if (family === null) return [];
    const name = query.name.text;
    const isFound = answer.rcode === rcodes.NOERROR;
    const { addresses, ttlSeconds } = isFound
      ? resolvedAddresses(answer, query, records)
      : { addresses: [], ttlSeconds: 0 };
    if (addresses.length > 0) {
      const seconds = Math.min(Math.max(ttlSeconds, leastBindingSeconds), mostBindingSeconds);
      bindings.bind(name, addresses, seconds);
    } else if (answer.rcode !== rcodes.SERVFAIL) bindings.clear(name, family);
    return addresses;
  }
}

function local(query: Query, answer: LocalAnswer, outcome: Reply["outcome"], rule: number | null): Reply {
  const addresses = (answer.addresses ?? []).map(String);
  return { message: localResponse(query, answer), outcome, rcode: answer.rcode, addresses, rule };
}

function blocked(query: Query, rule: number | null, text: string): Reply {
  const extendedError = { code: extendedErrors.blocked, text };
  return local(query, { rcode: rcodes.NXDOMAIN, extendedError }, "denied", rule);
}

function limited(query: Query, rule: number | null, text: string): Reply {
  const extendedError = { code: extendedErrors.prohibited, text };
  return local(query, { rcode: rcodes.REFUSED, extendedError }, "limited", rule);
}
