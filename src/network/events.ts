import type { DestinationGroup, NetworkPolicy, RuleProtocol } from "../config/network/policy-type.ts";

interface EventBase {
  /** When, in ms since 1970. */
  readonly timestampMs: number;
}

interface FlowBase extends EventBase {
  /** Counts from the start of the sandbox; the same in `flow-opened` and `flow-closed`. */
  readonly flow: number;
  readonly direction: "egress" | "ingress";
  readonly protocol: RuleProtocol;
  /** Outside the sandbox. */
  readonly address: string;
  /** The group of that address (`PolicyEngine.groupOf`); null: in none. */
  readonly group: DestinationGroup | null;
  /** Of the listening side; null for ICMP. */
  readonly port: number | null;
  /** The name that was evidence, or that stands for the address. */
  readonly name: string | null;
  /** Index of the rule that decided; null: the default. */
  readonly rule: number | null;
}

/** Let through. */
export interface FlowOpened extends FlowBase {
  readonly kind: "flow-opened";
}

export interface FlowClosed extends FlowBase {
  readonly kind: "flow-closed";
  /** Payload, from and to the guest. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** `policy`: not allowed any more. */
  readonly reason: "closed" | "reset" | "timeout" | "unreachable" | "refused" | "idle" | "policy" | "stopped";
}

export interface FlowDenied extends FlowBase {
  readonly kind: "flow-denied";
  /** `platform`: a multi-tenant sandbox's own policy allows it. `unsupported`: allowed, but nothing here can pass it on. */
  readonly reason: "policy" | "platform" | "max-connections" | "blocked-port" | "unsupported";
  /** How many it stands for: the like of one that was told are told together, so that a flood of them fills no log. At least 1. */
  readonly count: number;
}

export interface DnsAnswered extends EventBase {
  readonly kind: "dns";
  /** As it was asked, in lower case, odd bytes as `\ddd` (RFC 1035, 5.1). */
  readonly name: string;
  /** `A`, `AAAA`, `MX`… or `TYPE65280`. */
  readonly type: string;
  readonly transport: "udp" | "tcp";
  /** The address of the resolver that the guest asked itself; null: it asked the gateway. */
  readonly resolver: string | null;
  readonly outcome: "answered" | "denied" | "limited" | "filtered" | "failed";
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`… */
  readonly rcode: string;
  /** What the guest was told. */
  readonly addresses: readonly string[];
  readonly rule: number | null;
}

interface ReadableBase extends EventBase {
  /** Where the guest has connected to. */
  readonly address: string;
  readonly port: number;
}

/** A connection whose TLS was to be read could not be made: the guest was told by an alert, or broken off. */
export interface TlsFailed extends ReadableBase {
  readonly kind: "tls-failed";
  /** What the guest has asked for; null: it said no name. */
  readonly name: string | null;
  /** Whose fault it was. */
  readonly side: "guest" | "server";
  /** OpenSSL's code where there is one (`CERT_HAS_EXPIRED`), else a few words. */
  readonly reason: string;
}

/** A request that could be read, and what became of it. */
export interface HttpSeen extends ReadableBase {
  readonly kind: "http";
  readonly version: "1.0" | "1.1" | "2";
  readonly method: string;
  readonly host: string | null;
  /** Without the query; at most 1,024 characters. */
  readonly path: string;
  /**
   * `malformed`: not as the protocol wants it, or not for the host that the connection is to. `answered`: by the program's own function.
   * `hook-failed`: that function has failed, or one about its response has.
   */
  readonly outcome: "forwarded" | "denied" | "answered" | "malformed" | "hook-failed";
  /** Index of the rule about requests that decided; null: none. */
  readonly rule: number | null;
  /** Variables of the secrets that were put in. */
  readonly secrets: readonly string[];
  /** For `malformed` and `hook-failed`: a few words. */
  readonly reason: string | null;
}

/** A placeholder was on its way to where its secret may not go. */
export interface SecretViolation extends ReadableBase {
  readonly kind: "secret-violation";
  readonly action: "block-and-log" | "block-and-terminate";
  readonly envVar: string;
  readonly placeholder: string;
  readonly protocol: "http/1" | "http/2" | "connect" | "other";
  /** The name that the connection was for; null: without TLS. */
  readonly serverName: string | null;
  readonly host: string | null;
  readonly method: string | null;
  /** Without the query; at most 1,024 characters. */
  readonly path: string | null;
  readonly location: "target" | "query" | "header" | "basic-auth" | "body" | "trailer" | "other";
  /** How it was written. */
  readonly form: "raw" | "percent" | "json" | "base64" | "utf-16";
}

/** What was set for a secret could not be done. But for `unscrubbed`, the request was stopped. */
export interface SecretProblem extends ReadableBase {
  readonly kind: "secret-problem";
  readonly envVar: string;
  readonly host: string | null;
  readonly method: string | null;
  /** Without the query; at most 1,024 characters. */
  readonly path: string | null;
  /**
   * `no-value`: there is none now. `unfit-value`: it has characters that may not stand where the placeholder stood. `placeholder`: it is
   * empty or longer than 1,024 bytes, so that nothing can be told. `body`: this kind of body is not changed, and has the placeholder in it.
   * `unscrubbed`: the response could hold the value, and it was not looked for.
   */
  readonly problem: "no-value" | "unfit-value" | "placeholder" | "body" | "unscrubbed";
  /** A few words; never the value. */
  readonly reason: string;
}

/** What came to pass on a sandbox's network. */
export type NetworkEvent =
  FlowOpened | FlowClosed | FlowDenied | DnsAnswered | TlsFailed | HttpSeen | SecretViolation | SecretProblem;

/** Which policy the events after it were decided by: their `rule` is an index into its rules. */
export interface PolicyInForce extends EventBase {
  readonly kind: "policy";
  /** `start`: the sandbox begins to run. `rotation`: nothing has changed, but the log goes on in a new file. */
  readonly cause: "start" | "update" | "rotation";
  /** Of a policy that is longer than a line of the log may be, the first rules. */
  readonly policy: NetworkPolicy;
  /** So many more rules follow those in `policy`; missing: none do. */
  readonly rulesLeftOut?: number;
  /** Whether everything was allowed and only noted. */
  readonly observe: boolean;
}

/** So many events before this one could not be kept. */
export interface EventsLost extends EventBase {
  readonly kind: "lost";
  readonly count: number;
}

/** What is told of a sandbox's network, in order: what came to pass, and what has to be known to understand it. */
export type NetworkLogEvent = NetworkEvent | PolicyInForce | EventsLost;
