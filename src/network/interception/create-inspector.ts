import type { HttpSeen, NetworkEvent } from "../events.ts";
import type { Channel } from "../http/channel.ts";
import {
  type Asking,
  Blocked,
  type BodyFilter,
  type Inspector,
  isMade,
  type MadeBody,
  type PromptBodyFilter,
  type Reading,
  type RequestVerdict,
  type ResponseVerdict,
} from "../http/inspector.ts";
import type { HttpField, RequestHead, ResponseHead } from "../http/message.ts";
import { withoutUpgrade } from "../http/upgrade.ts";
import { authorityOf, hostOf } from "../request-rules/authority.ts";
import { denialAnswer } from "../request-rules/denial-answer.ts";
import { decideRequest, mayRefuse } from "../request-rules/request-rules.ts";
import { inSequence } from "../http/sequence.ts";
import type { ChannelSecrets } from "../secrets/channel-secrets.ts";
import { guardChannel } from "../secrets/guard-channel.ts";
import { hookedRequest, hookedResponse } from "./hooks/hooked-messages.ts";
import { isMeantFor } from "../secrets/standing.ts";
import type { Interception, RequestContext } from "./interception.ts";

/** Of a path that is told so many characters are noted. */
const longestPath = 1_024;

/**
 * Who looks at the messages of one connection, in this order: whether a request is for the host that the connection is to, the rules about
 * requests, the program's functions, and secrets last, so that nobody else ever sees a value. Of a response: secrets first.
 *
 * @param emit is told what was seen
 */
export function createInspector(
  interception: Interception,
  channel: Channel,
  emit: (event: NetworkEvent) => void,
): Inspector {
  return new ChannelInspector(interception, channel, emit);
}

class ChannelInspector implements Inspector {
  readonly #interception: Interception;
  readonly #channel: Channel;
  readonly #emit: (event: NetworkEvent) => void;
  readonly #secrets: ChannelSecrets;
  /** Requests as the program's functions know them, by the heads that were sent. */
  readonly #hooked = new WeakMap<
    RequestHead,
    { readonly context: RequestContext; readonly request: RequestHead }
  >();

  /** Tells of requests whose bodies have not ended, by the heads that were sent. */
  readonly #untold = new WeakMap<RequestHead, () => void>();

  constructor(interception: Interception, channel: Channel, emit: (event: NetworkEvent) => void) {
    this.#interception = interception;
    this.#channel = channel;
    this.#emit = emit;
    this.#secrets = guardChannel(interception, channel, emit);
  }

  async request(asked: RequestHead, asking: Asking): Promise<RequestVerdict | Reading<RequestVerdict>> {
    const host = this.#hostOf(asked);
    const head = this.#isWatched(host) ? withoutUpgrade(asked, isReadOn) : asked;
    const { hooks } = this.#interception;
    const { denied, rule } = this.#decide(head, host);
    if (denied !== null) return denied;
    // What is in a tunnel is asked about, not the tunnel.
    if (hooks === null || this.#channel.kind === "connect")
      return await this.#guarded(head, host, rule, null);
    const context = this.#contextOf(host);
    return await hookedRequest(hooks, head, context, asking, {
      forward: async (changed, body) => {
        if (this.#hostOf(changed) !== host)
          throw this.#malformed(changed, host, "a function of the program has changed the host");
        // What is sent has to be allowed as well as what the guest has asked for.
        const isOther = changed.method !== head.method || changed.target !== head.target;
        const again = isOther ? this.#decide(changed, host) : { denied: null, rule };
        if (again.denied !== null) {
          if (isMade(body)) body.cancel();
          return again.denied;
        }
        const verdict = await this.#guarded(changed, host, again.rule, body);
        if (verdict.kind === "forward") this.#hooked.set(verdict.head, { context, request: changed });
        return verdict;
      },
      answered: () => this.#tell(head, host, { outcome: "answered", rule }),
      failed: (reason) => this.#tell(head, host, { outcome: "hook-failed", rule, reason }),
    });
  }

  trailers(fields: readonly HttpField[], request: RequestHead): readonly HttpField[] {
    return this.#secrets.trailers(fields, request);
  }

  async response(
    head: ResponseHead,
    request: RequestHead,
    asking: Asking,
  ): Promise<ResponseVerdict | Reading<ResponseVerdict>> {
    const { hooks } = this.#interception;
    this.#untold.get(request)?.();
    const scrubbed = await this.#secrets.response(head, request);
    const hooked = this.#hooked.get(request);
    if (hooks === null || hooked === undefined) return scrubbed;
    const { context } = hooked;
    return await hookedResponse(hooks, scrubbed, hooked.request, context, asking, {
      failed: (reason) => this.#tell(hooked.request, context.host, { outcome: "hook-failed", reason }),
    });
  }

  responseFields(fields: readonly HttpField[], request: RequestHead): readonly HttpField[] {
    return this.#secrets.responseFields(fields, request);
  }

  raw(upgrade: RequestHead | null): PromptBodyFilter {
    const { http } = this.#interception;
    const { kind, serverName } = this.#channel;
    if (upgrade === null && kind === "tls" && http !== null && mayRefuse(http.rules, serverName))
      throw this.malformed("no request, where rules are about requests");
    return this.#secrets.raw(upgrade);
  }

  malformed(reason: string): Blocked {
    return this.#malformed(null, this.#channel.serverName, reason);
  }

  /** @throws Blocked when a request is not for whom the connection is to */
  #hostOf(head: RequestHead): string | null {
    const { kind, serverName } = this.#channel;
    if (kind === "connect") return hostOf(head.target);
    const authority = authorityOf(head);
    if (kind === "tls") {
      if ("malformed" in authority) throw this.#malformed(head, serverName, authority.malformed);
      if (authority.host !== serverName)
        throw this.#malformed(head, authority.host, `a connection to ${String(serverName)}`);
      return authority.host;
    }
    const host = "host" in authority ? authority.host : null;
    // Nobody has proved anything here; but what says nobody that can be told apart cannot be decided about.
    const { http } = this.#interception;
    if (host === null && http !== null && mayRefuse(http.rules, null)) {
      const reason = "malformed" in authority ? authority.malformed : "no Host field";
      throw this.#malformed(head, null, reason);
    }
    return host;
  }

  /** @returns null: whom a request is for is proved, or a proxy is asked to see to it */
  #isBoundTo(): Channel["isBoundTo"] | null {
    const channel = this.#channel;
    if (channel.isProved || channel.kind === "connect") return null;
    return (matches) => matches(channel.address) || channel.isBoundTo(matches);
  }

  /** Whether somebody looks at requests for a host who would see none of those that are hidden in another protocol. */
  #isWatched(host: string | null): boolean {
    const { http, hooks, secrets } = this.#interception;
    // Without TLS, the host is anybody's word.
    const proved = this.#channel.kind === "tls" ? host : null;
    return (
      hooks !== null ||
      (http !== null && mayRefuse(http.rules, proved)) ||
      secrets.some((secret) => isMeantFor(secret, host))
    );
  }

  /** What the rules say of a request. `denied`: what becomes of it. @throws Blocked when it is denied without an answer */
  #decide(
    head: RequestHead,
    host: string | null,
  ): { readonly denied: RequestVerdict | null; readonly rule: number | null } {
    const { http } = this.#interception;
    if (http === null) return { denied: null, rule: null };
    const about = { host, isBoundTo: this.#isBoundTo() };
    const { action, rule, isUnreadable } = decideRequest(http.rules, head.method, about, head.target);
    if (action === "allow") return { denied: null, rule };
    const reason = isUnreadable === true ? "a path that servers may read in several ways" : null;
    this.#tell(head, host, { outcome: "denied", rule, reason });
    if (!http.denyResponse) throw new Blocked(`denied by rule ${String(rule)}`);
    return { denied: denialAnswer(http, head, host, rule), rule };
  }

  async #guarded(
    head: RequestHead,
    host: string | null,
    rule: number | null,
    before: BodyFilter | MadeBody | null,
  ): Promise<RequestVerdict> {
    const guarded = await this.#secrets.request(head, host);
    let isTold = false;
    const tell = (): void => {
      if (isTold) return;
      isTold = true;
      this.#tell(head, host, { outcome: "forwarded", rule, secrets: [...guarded.secrets] });
    };
    // A guest need not end a body. Only one that secrets are put into is waited for, at most until there is an answer.
    if (guarded.body?.changesLength === true) this.#untold.set(guarded.head, tell);
    else tell();
    const body = guarded.body === null ? null : withEnd(guarded.body, tell);
    return { kind: "forward", head: guarded.head, body: inSequence(before, body) };
  }

  #contextOf(host: string | null): RequestContext {
    const { kind, address, port } = this.#channel;
    return { isTls: kind === "tls", host: host ?? address, address, port };
  }

  #malformed(head: RequestHead | null, host: string | null, reason: string): Blocked {
    this.#tell(head, host, { outcome: "malformed", reason });
    return new Blocked(reason);
  }

  #tell(
    head: RequestHead | null,
    host: string | null,
    what: Pick<HttpSeen, "outcome"> & Partial<Pick<HttpSeen, "rule" | "secrets" | "reason">>,
  ): void {
    const { address, port } = this.#channel;
    const [path = ""] = (head?.target ?? "").split(/[?#]/, 1);
    this.#emit({
      kind: "http",
      timestampMs: Date.now(),
      address,
      port,
      version: head?.version ?? "1.1",
      method: head?.method.slice(0, 64) ?? "",
      host,
      path: path.slice(0, longestPath),
      rule: null,
      secrets: [],
      reason: null,
      ...what,
    });
  }
}

/** Whether what a connection goes on with is no way to make requests that nobody sees. */
function isReadOn(protocol: string): boolean {
  return protocol === "websocket";
}

/** Calls back at the end of a body. */
function withEnd(filter: BodyFilter, ended: () => void): BodyFilter {
  return {
    changesLength: filter.changesLength,
    push: (bytes) => filter.push(bytes),
    end: async () => {
      const last = await filter.end();
      ended();
      return last;
    },
  };
}
