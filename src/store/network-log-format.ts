import * as v from "valibot";
import { DestinationGroups, RuleProtocols } from "../config/network/policy/rules.ts";
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
    reason: v.picklist(["policy", "max-connections", "blocked-port", "unsupported"]),
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
    kind: v.literal("policy"),
    cause: v.picklist(["start", "update", "rotation"]),
    policy: policySchema,
    observe: v.boolean(),
  }),
  v.object({ kind: v.literal("lost"), count: v.number() }),
]);

const headSchema = v.object({ t: v.pipe(v.string(), v.isoTimestamp()), n: v.number() });

/** @returns without the newline at its end */
export function formatNetworkLine(n: number, { timestampMs, ...event }: NetworkLogEvent): string {
  const t = new Date(timestampMs).toISOString();
  if (event.kind !== "dns" || event.addresses.length <= mostAddresses)
    return JSON.stringify({ t, n, ...event });
  return JSON.stringify({ t, n, ...event, addresses: event.addresses.slice(0, mostAddresses) });
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
