import * as v from "valibot";
import { DestinationGroups, RuleProtocols } from "../config/network/policy/rules.ts";
import type { Rule } from "../config/network/policy-type.ts";
import { policySchema } from "../config/network/policy/stored-policy.ts";
import type { NetworkLogEvent } from "../network/events.ts";

/**
 * A line of `network.log`, JSON Lines: `{"t":"2026-05-01T13:37:00.123Z","n":17,"kind":"flow-denied",…}`. It is cut and kept as the other
 * logs are.
 */
export interface NetworkLine {
  /** Grows with every line of all runs, by one but for what is said at the head of a file. */
  readonly n: number;
  readonly event: NetworkLogEvent;
}

/**
 * Bytes of a line at most. Only that of a policy can be so long. Those who watch are sent lines in messages, which have a bound, and each
 * file of the log begins with its policy.
 */
export const mostLineBytes = 1024 * 1024;
/** More than a policy's line has besides its rules. */
const otherBytes = 1024;
/** Of an answer's addresses so many are noted: a line has a bound, whatever a server says. */
const mostAddresses = 64;

const flow = {
  flow: v.number(),
  direction: v.picklist(["egress", "ingress"]),
  protocol: v.picklist(RuleProtocols),
  address: v.string(),
  group: v.nullable(v.picklist(DestinationGroups)),
  port: v.nullable(v.number()),
  name: v.nullable(v.string()),
  rule: v.nullable(v.number()),
};

const readable = { address: v.string(), port: v.number() };

const eventSchema = v.variant("kind", [
  v.object({ kind: v.literal("flow-opened"), ...flow }),
  v.object({
    kind: v.literal("flow-closed"),
    ...flow,
    bytesSent: v.number(),
    bytesReceived: v.number(),
    reason: v.picklist(["closed", "reset", "timeout", "unreachable", "refused", "idle", "policy", "stopped"]),
  }),
  v.object({
    kind: v.literal("flow-denied"),
    ...flow,
    reason: v.picklist(["policy", "platform", "max-connections", "blocked-port", "unsupported"]),
    count: v.number(),
  }),
  v.object({
    kind: v.literal("dns"),
    name: v.string(),
    type: v.string(),
    transport: v.picklist(["udp", "tcp"]),
    resolver: v.nullable(v.string()),
    outcome: v.picklist(["answered", "denied", "limited", "filtered", "failed"]),
    rcode: v.string(),
    addresses: v.array(v.string()),
    rule: v.nullable(v.number()),
  }),
  v.object({
    kind: v.literal("tls-failed"),
    ...readable,
    name: v.nullable(v.string()),
    side: v.picklist(["guest", "server"]),
    reason: v.string(),
  }),
  v.object({
    kind: v.literal("http"),
    ...readable,
    version: v.picklist(["1.0", "1.1", "2"]),
    method: v.string(),
    host: v.nullable(v.string()),
    path: v.string(),
    outcome: v.picklist(["forwarded", "denied", "answered", "malformed", "hook-failed"]),
    rule: v.nullable(v.number()),
    secrets: v.array(v.string()),
    reason: v.nullable(v.string()),
  }),
  v.object({
    kind: v.literal("secret-violation"),
    ...readable,
    action: v.picklist(["block-and-log", "block-and-terminate"]),
    envVar: v.string(),
    placeholder: v.string(),
    protocol: v.picklist(["http/1", "http/2", "connect", "other"]),
    serverName: v.nullable(v.string()),
    host: v.nullable(v.string()),
    method: v.nullable(v.string()),
    path: v.nullable(v.string()),
    location: v.picklist(["target", "query", "header", "basic-auth", "body", "trailer", "other"]),
    form: v.picklist(["raw", "percent", "json", "base64", "utf-16"]),
  }),
  v.object({
    kind: v.literal("secret-problem"),
    ...readable,
    envVar: v.string(),
    host: v.nullable(v.string()),
    method: v.nullable(v.string()),
    path: v.nullable(v.string()),
    problem: v.picklist(["no-value", "unfit-value", "placeholder", "body", "unscrubbed"]),
    reason: v.string(),
  }),
  v.object({
    kind: v.literal("policy"),
    cause: v.picklist(["start", "update", "rotation"]),
    policy: policySchema,
    rulesLeftOut: v.exactOptional(v.number()),
    observe: v.boolean(),
  }),
  v.object({ kind: v.literal("lost"), count: v.number() }),
]);

const headSchema = v.object({ t: v.pipe(v.string(), v.isoTimestamp()), n: v.number() });

/** @returns without the newline at its end */
export function formatNetworkLine(n: number, { timestampMs, ...event }: NetworkLogEvent): string {
  const t = new Date(timestampMs).toISOString();
  if (event.kind === "dns" && event.addresses.length > mostAddresses)
    return JSON.stringify({ t, n, ...event, addresses: event.addresses.slice(0, mostAddresses) });
  const line = JSON.stringify({ t, n, ...event });
  if (event.kind !== "policy" || Buffer.byteLength(line) <= mostLineBytes) return line;
  const { policy } = event;
  const count = firstRules(policy.rules, mostLineBytes - otherBytes);
  const shortened = {
    policy: { ...policy, rules: policy.rules.slice(0, count) },
    rulesLeftOut: policy.rules.length - count,
  };
  return JSON.stringify({ t, n, ...event, ...shortened });
}

/** @returns how many rules have no more bytes than that, with the commas between them */
function firstRules(rules: readonly Rule[], bytes: number): number {
  let left = bytes;
  const over = rules.findIndex((rule) => (left -= Buffer.byteLength(JSON.stringify(rule)) + 1) < 0);
  return over === -1 ? rules.length : over;
}

/** @returns null for a line that is none, such as the last one of a machine that lost power */
export function parseNetworkLine(line: string): NetworkLine | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  const head = v.safeParse(headSchema, parsed);
  const event = v.safeParse(eventSchema, parsed);
  if (!head.success || !event.success) return null;
  const { t, n } = head.output;
  return { n, event: { ...event.output, timestampMs: Date.parse(t) } };
}
