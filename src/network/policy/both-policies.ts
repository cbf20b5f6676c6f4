import type { DestinationGroup } from "../../config/network/policy-type.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import type { Evidence, PolicyEngine, PolicyFlow, Verdict } from "./verdict.ts";

/** What the platform refuses is no rule of the tenant's. */
const refused: Verdict = { action: "deny", rule: null, name: null, byPlatform: true };

/** A tenant's policy under the platform's: what is to pass must be allowed by both. */
export class BothPolicies implements PolicyEngine {
  readonly #platform: PolicyEngine;
  readonly #tenant: PolicyEngine;

  constructor(platform: PolicyEngine, tenant: PolicyEngine) {
    this.#platform = platform;
    this.#tenant = tenant;
  }

  get hasDomainRules(): boolean {
    return this.#platform.hasDomainRules || this.#tenant.hasDomainRules;
  }

  egress(flow: PolicyFlow, evidence: Evidence): Verdict {
    return both(this.#platform.egress(flow, evidence), this.#tenant.egress(flow, evidence));
  }

  ingress(flow: PolicyFlow): Verdict {
    return both(this.#platform.ingress(flow), this.#tenant.ingress(flow));
  }

  /** Which names a tenant may ask for is the tenant's affair: what they stand for is not. */
  query(
    name: string | null,
    transport: { readonly protocol: "tcp" | "udp"; readonly port: number },
  ): Verdict {
    return this.#tenant.query(name, transport);
  }

  isRebindException(address: IpAddress): boolean {
    return this.#platform.isRebindException(address) && this.#tenant.isRebindException(address);
  }

  groupOf(address: IpAddress): DestinationGroup | null {
    return this.#tenant.groupOf(address);
  }
}

function both(platform: Verdict, tenant: Verdict): Verdict {
  if (tenant.action === "deny") return tenant;
  if (platform.action === "deny") return refused;
  if (platform.action === "allow") return tenant;
  return { ...tenant, action: "defer" };
}
