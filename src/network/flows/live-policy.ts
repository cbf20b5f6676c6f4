import type { IpAddress } from "../../host/ip/address.ts";
import type { DestinationGroup } from "../../config/network/policy-type.ts";
import type { Bindings } from "../policy/bindings.ts";
import type { Evidence, PolicyEngine, PolicyFlow, Verdict } from "../policy/verdict.ts";

/** The policy as it is now: it may be replaced at any time. While it only observes, it allows everything. */
export class LivePolicy implements PolicyEngine {
  engine: PolicyEngine;
  observes: boolean;
  readonly #bindings: Bindings;

  constructor(engine: PolicyEngine, observes: boolean, bindings: Bindings) {
    this.engine = engine;
    this.observes = observes;
    this.#bindings = bindings;
  }

  get hasDomainRules(): boolean {
    return !this.observes && this.engine.hasDomainRules;
  }

  egress(flow: PolicyFlow, evidence: Evidence): Verdict {
    return this.observes
      ? observed(this.#bindings.namesOf(flow.address)[0] ?? null)
      : this.engine.egress(flow, evidence);
  }

  ingress(flow: PolicyFlow): Verdict {
    return this.observes ? observed(null) : this.engine.ingress(flow);
  }

  query(name: string | null, transport: { readonly protocol: "tcp" | "udp"; readonly port: number }): Verdict {
    return this.observes ? observed(name) : this.engine.query(name, transport);
  }

  groupOf(address: IpAddress): DestinationGroup | null {
    return this.engine.groupOf(address);
  }

  /** Of the policy in any case: nobody observes for the sake of names that lead inside. */
  isRebindException(address: IpAddress): boolean {
    return this.engine.isRebindException(address);
  }
}

function observed(name: string | null): Verdict {
  return { action: "allow", rule: null, name };
}
