import type { NetworkConfig } from "../../config/network/network-type.ts";
import { NetworkPolicy } from "../../config/network/policy/network-policy.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import type { Cidr } from "../../host/ip/cidr.ts";
import type { Bindings } from "./bindings.ts";
import { BothPolicies } from "./both-policies.ts";
import { wellKnownNat64Prefix } from "./groups.ts";
import { CompiledPolicy } from "./policy-engine.ts";
import type { PolicyEngine } from "./verdict.ts";

export interface PolicyEngineOptions {
  readonly policy: NetworkPolicy;
  readonly bindings: Bindings;
  /** The gateway's own addresses. */
  readonly gateways: readonly IpAddress[];
  /** Of the host's network, besides `64:ff9b::/96`. */
  readonly nat64Prefixes?: readonly Cidr[];
  /** `multi-tenant`: what the public internet is no part of is not allowed, whatever the policy says. */
  readonly deploymentProfile: NetworkConfig["deploymentProfile"];
}

/**
 * Makes a policy ready to decide.
 *
 * @throws InvalidConfigError when a rule's range is none
 */
export function createPolicyEngine({
  policy,
  bindings,
  gateways,
  nat64Prefixes = [],
  deploymentProfile,
}: PolicyEngineOptions): PolicyEngine {
  const context = { gateways, nat64Prefixes: [...nat64Prefixes, wellKnownNat64Prefix] };
  const engine = new CompiledPolicy(policy, context, bindings);
  if (deploymentProfile === "single-tenant") return engine;
  return new BothPolicies(new CompiledPolicy(NetworkPolicy.publicOnly(), context, bindings), engine);
}
