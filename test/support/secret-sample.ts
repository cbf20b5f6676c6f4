import type { SecretConfig, ViolationAction } from "../../src/config/network/interception/secret-type.ts";
import type { NetworkEvent } from "../../src/network/events.ts";
import type { Channel } from "../../src/network/http/channel.ts";
import { Blocked, type PromptBodyFilter } from "../../src/network/http/inspector.ts";
import type { HttpField, RequestHead } from "../../src/network/http/message.ts";
import type { GuardedRequest, SecretSettings } from "../../src/network/secrets/channel-secrets.ts";
import { guardChannel } from "../../src/network/secrets/guard-channel.ts";

/** `$KEY` of `KEY`, for api.openai.com, put into headers and Basic credentials. */
export function secret(changes: Partial<SecretConfig> = {}): SecretConfig {
  return {
    envVar: "KEY",
    placeholder: "$KEY",
    hosts: ["api.openai.com"],
    source: { kind: "stored" },
    injection: { headers: true, basicAuth: true, queryParams: false, body: false },
    requireTlsIdentity: true,
    onViolation: null,
    scrubResponses: false,
    ...changes,
  };
}

export function places(changes: Partial<SecretConfig["injection"]>): Pick<SecretConfig, "injection"> {
  return { injection: { headers: false, basicAuth: false, queryParams: false, body: false, ...changes } };
}

/** TLS to a server that is who it says, at an address that DNS gave for it. */
export function tlsTo(serverName: string, changes: Partial<Channel> = {}): Channel {
  return {
    kind: "tls",
    serverName,
    isProved: true,
    address: "192.0.2.7",
    port: 443,
    isBoundTo: (matches) => matches(serverName),
    ...changes,
  };
}

/** HTTP without TLS, to an address that DNS gave for a name. */
export function plainTo(bound: string): Channel {
  return {
    ...{ kind: "plain", serverName: null, isProved: false, address: "192.0.2.7", port: 80 },
    isBoundTo: (matches) => matches(bound),
  };
}

/** The head of a CONNECT to a proxy. */
export const toProxy: Channel = {
  ...{ kind: "connect", serverName: null, isProved: false, address: "192.0.2.8", port: 3128 },
  isBoundTo: () => false,
};

/** @param values by variable; what is not there has none */
export class Guarded {
  readonly events: NetworkEvent[] = [];
  readonly terminated: string[] = [];
  readonly refused: string[] = [];
  readonly guard: ReturnType<typeof guardChannel>;
  readonly #channel: Channel;

  constructor(
    secrets: readonly SecretConfig[],
    channel: Channel = tlsTo("api.openai.com"),
    options: {
      readonly onViolation?: ViolationAction;
      readonly values?: Readonly<Record<string, string>>;
      readonly source?: SecretSettings["values"]["value"];
    } = {},
  ) {
    const values: Readonly<Record<string, string>> = options.values ?? { KEY: "real-secret" };
    const settings: SecretSettings = {
      secrets,
      secretViolation: options.onViolation ?? { kind: "block" },
      values: {
        value: options.source ?? ((envVar) => values[envVar] ?? null),
        refused: (envVar, host) => void this.refused.push(`${envVar} ${host}`),
      },
      terminate: (reason) => void this.terminated.push(reason),
    };
    this.#channel = channel;
    this.guard = guardChannel(settings, channel, (event) => void this.events.push(event));
  }

  /** @param host null: the one that TLS has proved */
  async request(head: RequestHead, host: string | null = this.#channel.serverName): Promise<GuardedRequest> {
    return this.guard.request(head, host);
  }

  /** @param pieces of the body @returns the fields that were sent, and the body */
  async send(
    head: RequestHead,
    pieces: readonly string[] = [],
    host?: string,
  ): Promise<{ readonly head: RequestHead; readonly body: string }> {
    const { head: sent, body } = await this.request(head, host);
    return {
      head: sent,
      body: pass(
        body,
        pieces.map((piece) => Buffer.from(piece, "latin1")),
      ).toString("latin1"),
    };
  }
}

/** All that comes out of a filter. */
export function pass(filter: PromptBodyFilter | null, pieces: readonly Buffer[]): Buffer {
  if (filter === null) return Buffer.concat(pieces);
  const out: Buffer[] = [];
  // A copy: whoever gets a part of what went in may keep it only until the next piece.
  for (const piece of pieces) for (const one of filter.push(Buffer.from(piece))) out.push(Buffer.from(one));
  return Buffer.concat([...out, ...filter.end()]);
}

export function get(target: string, ...fields: HttpField[]): RequestHead {
  return { version: "1.1", method: "GET", target, authority: null, fields };
}

/** Of a fixed length, which nobody here compares. */
export function post(target: string, ...fields: HttpField[]): RequestHead {
  return { ...get(target, ...fields, ["Content-Length", "1"]), method: "POST" };
}

export function http2(head: RequestHead, authority: string): RequestHead {
  const fields = head.fields.map(([name, value]): HttpField => [name.toLowerCase(), value]);
  return { ...head, version: "2", authority, fields };
}

export function basic(credentials: string): HttpField {
  return ["Authorization", `Basic ${Buffer.from(credentials).toString("base64")}`];
}

export function isBlocked(error: unknown): boolean {
  return error instanceof Blocked;
}
