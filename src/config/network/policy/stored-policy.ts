import * as v from "valibot";
import { DestinationGroups, PolicyActions, RuleDirections, RuleProtocols } from "./rules.ts";
import type { NetworkPolicy } from "../policy-type.ts";

const action = v.picklist(PolicyActions);
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));

export const ruleSchema = v.object({
  direction: v.picklist(RuleDirections),
  destination: v.variant("kind", [
    v.object({ kind: v.literal("any") }),
    v.object({ kind: v.literal("cidr"), cidr: v.string() }),
    v.object({ kind: v.literal("domain"), domain: v.string() }),
    v.object({ kind: v.literal("domainSuffix"), suffix: v.string() }),
    v.object({ kind: v.literal("group"), group: v.picklist(DestinationGroups) }),
  ]),
  protocols: v.array(v.picklist(RuleProtocols)),
  ports: v.array(v.object({ start: port, end: port })),
  action,
});

/** A policy as it is stored and sent. What its rules mean was checked when they were made. */
export const policySchema: v.GenericSchema<unknown, NetworkPolicy> = v.object({
  defaultEgress: action,
  defaultIngress: action,
  rules: v.array(ruleSchema),
});
