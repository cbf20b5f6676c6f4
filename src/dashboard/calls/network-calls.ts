import * as v from "valibot";
import { Sandbox, type SandboxNetworkStatus } from "../../api/index.ts";
import { policyTokens, ruleTokens } from "../../config/network/policy/rule-text.ts";
import { parseRuleTokens } from "../../config/network/policy/rule-token.ts";
import { portRow } from "../rows.ts";
import type { NetworkView } from "../wire.ts";
import { name, named, type SomeCalls } from "./call.ts";

const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));

export const networkCalls: SomeCalls<
  "network.view" | "network.rule" | "network.suggest" | "network.publish" | "network.unpublish"
> = {
  "network.view": {
    args: named,
    run: async ({ name }, signal) => {
      const handle = await Sandbox.get(name, { signal });
      return viewOf(await handle.networkStatus({ signal }));
    },
  },
  "network.rule": {
    args: v.strictObject({ name, rule: v.string(), persist: v.boolean() }),
    run: async ({ name, rule, persist }) => {
      const handle = await Sandbox.get(name);
      return viewOf(await handle.updateNetwork({ addRules: parseRuleTokens(rule) }, { persist }));
    },
  },
  "network.suggest": {
    args: named,
    run: async ({ name }, signal) => {
      const handle = await Sandbox.get(name, { signal });
      const policy = await handle.suggestPolicy({ signal });
      return { defaultEgress: policy.defaultEgress, rules: policyTokens(policy) };
    },
  },
  "network.publish": {
    args: v.strictObject({ name, hostPort: port, guestPort: port }),
    run: async ({ name, hostPort, guestPort }) => {
      const handle = await Sandbox.get(name);
      return viewOf(await handle.updateNetwork({ publish: [{ hostPort, guestPort }] }));
    },
  },
  "network.unpublish": {
    args: v.strictObject({
      name,
      hostBind: v.string(),
      hostPort: port,
      guestPort: port,
      protocol: v.picklist(["tcp", "udp"]),
    }),
    run: async ({ name, hostBind, hostPort, protocol }) => {
      const handle = await Sandbox.get(name);
      return viewOf(await handle.updateNetwork({ unpublish: [{ hostBind, hostPort, protocol }] }));
    },
  },
};

function viewOf(status: SandboxNetworkStatus): NetworkView {
  const { policy, counters, observe, maxConnections, ports } = status;
  const { activeFlows, flowsOpened, flowsDenied, dnsQueries, dnsDenied } = counters;
  return {
    ...{ observe, maxConnections, activeFlows, flowsOpened, flowsDenied, dnsQueries, dnsDenied },
    defaultEgress: policy.defaultEgress,
    defaultIngress: policy.defaultIngress,
    // One text for each rule, whose place is the index that decisions name.
    rules: policy.rules.map((rule) => ruleTokens(rule).join(", ")),
    ports: ports.map(portRow),
  };
}
