import type { NetworkLogEvent, NetworkPolicy } from "../../api/index.ts";
import { ruleTokens } from "../../config/network/policy/rule-text.ts";
import type { Rule } from "../../config/network/policy-type.ts";
import { oneLine } from "../../cli/output/sanitize.ts";
import type { Decision } from "../wire.ts";

type EventOf<Kind extends NetworkLogEvent["kind"]> = Extract<NetworkLogEvent, { readonly kind: Kind }>;
type FlowEvent = EventOf<"flow-opened" | "flow-closed" | "flow-denied">;

/** Puts what a network has decided into words, event by event: which rule an index names is what the events before it tell. */
export class Decisions {
  #policy: NetworkPolicy | null = null;

  /** null: nothing was decided. */
  of(event: NetworkLogEvent): Decision | null {
    if (event.kind === "policy") this.#policy = event.policy;
    const told = this.#tell(event);
    return told === null ? null : { at: event.timestampMs, ...told, what: oneLine(told.what) };
  }

  #tell(event: NetworkLogEvent): Omit<Decision, "at"> | null {
    switch (event.kind) {
      case "flow-opened":
        return {
          ...{ verdict: "allowed", kind: "flow", what: flowText(event) },
          by: this.#rule(event.rule),
          remedy: flowRule(event, "deny"),
        };
      case "flow-closed":
        return null;
      case "flow-denied": {
        const times = event.count > 1 ? ` (${String(event.count)} times)` : "";
        const byPolicy = event.reason === "policy";
        return {
          ...{ verdict: "denied", kind: "flow", what: `${flowText(event)}${times}` },
          by: byPolicy ? this.#rule(event.rule) : (reasons[event.reason] ?? event.reason),
          remedy: byPolicy ? flowRule(event, "allow") : null,
        };
      }
      case "dns": {
        const { name, type, outcome, rcode, addresses } = event;
        const answer = addresses.length === 0 ? rcode : addresses.join(" ");
        const isDenied = outcome === "denied";
        return {
          ...{ verdict: isDenied ? "denied" : "allowed", kind: "dns", what: `${type} ${name}: ${answer}` },
          by: isDenied || outcome === "answered" ? this.#rule(event.rule) : outcome,
          remedy: nameRule(name, isDenied ? "allow" : "deny"),
        };
      }
      case "http": {
        const { method, host, path, outcome, rule, reason } = event;
        return {
          verdict: outcome === "forwarded" || outcome === "answered" ? "allowed" : "denied",
          ...{ kind: "http", what: `${method} ${host ?? event.address}${path}` },
          by: rule === null ? (reason ?? outcome) : `rule ${String(rule)} for requests`,
          remedy: null,
        };
      }
      case "tls-failed":
        return {
          ...{ verdict: "denied", kind: "tls", what: event.name ?? event.address },
          ...{ by: `the ${event.side}: ${event.reason}`, remedy: null },
        };
      case "secret-violation":
        return {
          ...{ verdict: "denied", kind: "secret" },
          what: `${event.envVar} on its way to ${event.host ?? event.serverName ?? event.address}`,
          ...{ by: "the hosts of the secret", remedy: null },
        };
      case "secret-problem":
        return {
          ...{ verdict: "denied", kind: "secret" },
          what: `${event.envVar} to ${event.host ?? event.address}`,
          ...{ by: event.reason, remedy: null },
        };
      case "policy": {
        const { policy, observe, rulesLeftOut = 0 } = event;
        const count = policy.rules.length + rulesLeftOut;
        return {
          ...{ verdict: "note", kind: "policy" },
          what: `${String(count)} rules; otherwise egress ${policy.defaultEgress}, ingress ${policy.defaultIngress}${observe ? "; observed: all is allowed" : ""}`,
          ...{ by: event.cause, remedy: null },
        };
      }
      case "lost":
        return {
          ...{ verdict: "note", kind: "lost", what: `${String(event.count)} events could not be kept` },
          ...{ by: "", remedy: null },
        };
    }
  }

  #rule(index: number | null): string {
    if (index === null) return "the default";
    const rule = this.#policy?.rules[index];
    const text = rule === undefined ? "" : `: ${ruleTokens(rule).join(", ")}`;
    return `rule ${String(index)}${text}`;
  }
}

const reasons: Readonly<Record<string, string>> = {
  platform: "the platform: it is multi-tenant",
  "max-connections": "the limit of connections",
  "blocked-port": "the port: it is never allowed",
  unsupported: "what can be passed on",
};

function flowText({ protocol, direction, name, address, port }: FlowEvent): string {
  const host = address.includes(":") ? `[${address}]` : address;
  const suffix = port === null ? "" : `:${String(port)}`;
  if (direction === "ingress")
    return `${protocol} from ${host}${port === null ? "" : ` to port ${String(port)}`}`;
  return `${protocol} to ${name === null ? `${host}${suffix}` : `${name}${suffix} (${address})`}`;
}

/** The narrowest rule that decides so about flows like this one. */
function flowRule(event: FlowEvent, action: "allow" | "deny"): string | null {
  const { direction, protocol, group, name, address, port } = event;
  const destination: Rule["destination"] =
    direction === "egress" && group === "host"
      ? { kind: "group", group: "host" }
      : direction === "egress" && name !== null
        ? { kind: "domain", domain: name }
        : { kind: "cidr", cidr: `${address}/${address.includes(":") ? "128" : "32"}` };
  const ports = port === null ? [] : [{ start: port, end: port }];
  return tokenOf({ direction, destination, protocols: [protocol], ports, action });
}

function nameRule(domain: string, action: "allow" | "deny"): string | null {
  // A name with odd bytes is none that a rule can have.
  if (!/^[a-z0-9_.-]+$/.test(domain)) return null;
  const destination = { kind: "domain", domain } as const;
  return tokenOf({ direction: "egress", destination, protocols: [], ports: [], action });
}

function tokenOf(rule: Rule): string | null {
  return ruleTokens(rule)[0] ?? null;
}
