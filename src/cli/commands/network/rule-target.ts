import { parseRuleToken } from "../../../config/network/policy/rule-token.ts";
import type { PolicyAction, Rule } from "../../../config/network/policy-type.ts";
import { usable } from "../../network/port.ts";

/** `example.com:443`: a target and its TCP port, as everybody writes it. */
const withPort = /^(\[[^[\]]*\]|[^:[\]]+):(\d+(?:-\d+)?)$/;

/**
 * `TARGET[:PROTOCOL[:PORTS]]` as in a rule, or `TARGET:PORTS` for TCP.
 *
 * @throws UsageError
 */
export function ruleOfTarget(action: PolicyAction, direction: "egress" | "ingress", text: string): Rule {
  const [, target, ports] = withPort.exec(text) ?? [];
  const full = target === undefined || ports === undefined ? text : `${target}:tcp:${ports}`;
  return usable(() => parseRuleToken(`${action}:${direction}@${full}`));
}
