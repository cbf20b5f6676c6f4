import assert from "node:assert/strict";
import type { Evidence, PolicyEngine } from "../../src/network/policy/verdict.ts";
import { createPolicyEngine } from "../../src/network/policy/create-engine.ts";
import { DnsBindings } from "../../src/network/policy/dns-bindings.ts";
import { ip, policy } from "./policy-sample.ts";
import { policyWays } from "./policy-ways.ts";

export const gateways = [ip("172.16.0.1"), ip("fd42:6d73:62::1")];

/** A case of a table: a policy, what DNS has told, and what is said of flows. */
export interface PolicyRow {
  readonly policy: string;
  /** `name=address`. */
  readonly bound?: readonly string[];
  /** `sni NAME` or `deferred`; by bindings when left out. */
  readonly evidence?: string;
  /** `[ingress] [protocol] ADDRESS [PORT]` (TCP, 443), to what is said of it: `action #rule name`. */
  readonly says: Readonly<Record<string, string>>;
}

export function engineFor({ policy: text, bound = [] }: PolicyRow, made = policy(text)): PolicyEngine {
  const bindings = new DnsBindings();
  for (const pair of bound) {
    const [name = "", address = ""] = pair.split("=");
    bindings.bind(name, [ip(address)], 60);
  }
  return createPolicyEngine({ policy: made, bindings, gateways, deploymentProfile: "single-tenant" });
}

/** Holds a case against its policy, made in each of the ways that users have. */
export function holds(row: PolicyRow): void {
  for (const [way, make] of Object.entries(policyWays)) {
    const made = make(row.policy);
    const engine = engineFor(row, made.policy);
    const said = Object.keys(row.says).map((flow) => {
      const verdict = decided(engine, flow, row.evidence);
      return [flow, verdict.replace(/#(\d+)/, (_, index: string) => `#${made.from[Number(index)]}`)];
    });
    assert.deepEqual(Object.fromEntries(said), row.says, way);
  }
}

/** `action #rule name`, without what is null. */
export function decided(engine: PolicyEngine, flow: string, evidence?: string): string {
  const words = flow.split(" ");
  const isIngress = words[0] === "ingress";
  if (isIngress) words.shift();
  const protocols = ["tcp", "udp", "icmpv4", "icmpv6"] as const;
  const protocol = protocols.find((name) => name === words[0]);
  if (protocol !== undefined) words.shift();
  const [address = "", port = "443"] = words;
  const asked = {
    protocol: protocol ?? ("tcp" as const),
    address: ip(address),
    port: protocol?.startsWith("icmp") === true ? null : Number(port),
  };
  const { action, rule, name } = isIngress
    ? engine.ingress(asked)
    : engine.egress(asked, evidenceOf(evidence));
  return [action, rule === null ? "" : `#${rule}`, name ?? ""].filter((word) => word !== "").join(" ");
}

function evidenceOf(text: string | undefined): Evidence {
  if (text === undefined) return { kind: "bindings" };
  return text === "deferred" ? { kind: "deferred" } : { kind: "sni", name: text.replace("sni ", "") };
}
