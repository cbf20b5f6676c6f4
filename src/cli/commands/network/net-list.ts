import type { OpenFlow, SandboxNetworkStatus } from "../../../api/index.ts";
import { ruleTokens } from "../../../config/network/policy/rule-text.ts";
import { defineCommand } from "../../grammar/command.ts";
import { bytes, fieldLines, json, jsonTime, tableTime } from "../../output/format.ts";
import { flowEnds, portJson, publishedText } from "./network-text.ts";
import { out } from "../../output/streams.ts";
import { joined, type Styled } from "../../output/style.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const netList = defineCommand({
  name: "list",
  parent: "net",
  aliases: ["ls"],
  summary: "Show a running sandbox's network: policy, ports, counters and open connections",
  examples: ["msb net ls demo", "msb net ls demo --format json"],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: { format: formatOption },
  run: async ({ options, operands: [name = ""] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const status = await (await Sandbox.get(name)).networkStatus();
    out(options.format === "json" ? json(statusJson(status)) : statusText(status));
    return 0;
  },
});

/** What the guest has a hand in, such as names, is one line each. */
export function statusText({
  policy,
  observe,
  ports,
  counters,
  maxConnections,
  flows,
}: SandboxNetworkStatus): Styled {
  // One that takes several tokens is one rule still: its number is what flows and events say.
  const rules = policy.rules.map((rule) => ruleTokens(rule).join(", "));
  const fields = fieldLines([
    ["Egress", `${policy.defaultEgress} by default${observe ? "; observed: everything is allowed" : ""}`],
    ["Ingress", `${policy.defaultIngress} by default`],
    ["Rules", rules.map((token, index) => `${String(index)} ${token}`)],
    ["Ports", ports.map(publishedText)],
    ["Received", `${bytes(counters.rxBytes)} in ${String(counters.rxFrames)} frames`],
    ["Sent", `${bytes(counters.txBytes)} in ${String(counters.txFrames)} frames`],
    [
      "Connections",
      `${String(counters.activeFlows)} open (TCP to outside: at most ${String(maxConnections)}), ${String(counters.flowsOpened)} opened, ${String(counters.flowsDenied)} denied`,
    ],
    ["DNS", `${String(counters.dnsQueries)} questions, ${String(counters.dnsDenied)} denied`],
  ]);
  if (flows.length === 0) return fields;
  return joined(
    [
      fields,
      table(
        ["PROTOCOL", "PEER", "RULE", "SINCE"],
        flows.map((flow) => flowRow(flow, rules)),
      ),
    ],
    "\n",
  );
}

function flowRow(flow: OpenFlow, rules: readonly string[]): string[] {
  const rule = flow.rule === null ? "default" : `${String(flow.rule)} ${rules[flow.rule] ?? ""}`.trimEnd();
  return [flow.protocol, flowEnds(flow), rule, tableTime(flow.openedAt)];
}

function statusJson({
  policy,
  observe,
  ports,
  counters,
  maxConnections,
  flows,
}: SandboxNetworkStatus): object {
  return {
    policy,
    observe,
    max_connections: maxConnections,
    ports: ports.map(portJson),
    counters: {
      rx_bytes: counters.rxBytes,
      tx_bytes: counters.txBytes,
      rx_frames: counters.rxFrames,
      tx_frames: counters.txFrames,
      flows_opened: counters.flowsOpened,
      flows_denied: counters.flowsDenied,
      active_flows: counters.activeFlows,
      dns_queries: counters.dnsQueries,
      dns_denied: counters.dnsDenied,
    },
    flows: flows.map(({ openedAt, ...flow }) => ({ ...flow, opened_at: jsonTime(openedAt) })),
  };
}
