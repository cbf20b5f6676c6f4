import type { DestinationGroup, NetworkPolicy, PolicyAction } from "../../config/network/policy-type.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import type { Bindings } from "./bindings.ts";
import { accepts, compileRules, protocolBits, type CompiledRule } from "./compiled-rule.ts";
import { classify, type GroupContext } from "./groups.ts";
import { isMeant, type NameSet } from "./name-set.ts";
import { Subject } from "./subject.ts";
import type { Evidence, PolicyEngine, PolicyFlow, Verdict } from "./verdict.ts";

interface Defaults {
  readonly egress: Verdict;
  readonly ingress: Verdict;
}

/** One policy. Its rules are made ready once; nothing of a decision is kept. */
export class CompiledPolicy implements PolicyEngine {
  readonly hasDomainRules: boolean;
  readonly #context: GroupContext;
  readonly #bindings: Bindings;
  readonly #egress: readonly CompiledRule[];
  readonly #ingress: readonly CompiledRule[];
  readonly #defaults: Defaults;

  /** @throws InvalidConfigError when a rule's range is none */
  constructor(policy: NetworkPolicy, context: GroupContext, bindings: Bindings) {
    this.#context = context;
    this.#bindings = bindings;
    this.#egress = compileRules(policy.rules, "egress");
    this.#ingress = compileRules(policy.rules, "ingress");
    this.#defaults = {
      egress: { action: policy.defaultEgress, rule: null, name: null },
      ingress: { action: policy.defaultIngress, rule: null, name: null },
    };
    this.hasDomainRules = this.#egress.some(({ target }) => target.kind === "names");
  }

  egress(flow: PolicyFlow, evidence: Evidence): Verdict {
    return this.#decide(this.#egress, this.#defaults.egress, flow, evidence);
  }

  ingress(flow: PolicyFlow): Verdict {
    return this.#decide(this.#ingress, this.#defaults.ingress, flow, { kind: "bindings" });
  }

  query(
    name: string | null,
    transport: { readonly protocol: "tcp" | "udp"; readonly port: number },
  ): Verdict {
    const protocol = protocolBits[transport.protocol];
    for (const rule of this.#egress) {
      const { target } = rule;
      if (target.kind === "names") {
        // Whoever may reach a name by whatever protocol has to be able to ask for it.
        const match = name === null ? undefined : target.names.matching(name)[0];
        if (match !== undefined) return { action: rule.action, rule: match.rule, name };
        continue;
      }
      // The group `host` is where the gateway's own resolver is.
      const isResolver = target.kind === "any" || (target.kind === "group" && target.group === "host");
      if (isResolver && accepts(rule, protocol, transport.port)) return rule.verdict;
    }
    return this.#defaults.egress;
  }

  isRebindException(address: IpAddress): boolean {
    const subject = new Subject(address, this.#context, this.#bindings);
    return this.#namesAddress(subject, protocolBits.tcp) || this.#namesAddress(subject, protocolBits.udp);
  }

  groupOf(address: IpAddress): DestinationGroup | null {
    return classify(address, this.#context);
  }

  /** Whether the first rule about this very address, whatever the port, allows it. */
  #namesAddress(subject: Subject, protocol: number): boolean {
    for (const rule of this.#egress) {
      if (rule.ports.length > 0 || (rule.protocols & protocol) === 0) continue;
      if (rule.target.kind !== "any" && isAbout(rule, subject)) return rule.action === "allow";
    }
    return false;
  }

  #decide(
    rules: readonly CompiledRule[],
    otherwise: Verdict,
    { protocol, address, port }: PolicyFlow,
    evidence: Evidence,
  ): Verdict {
    const bit = protocolBits[protocol];
    const remembered = evidence.kind === "sni" ? evidence.names : undefined;
    const subject = new Subject(address, this.#context, this.#bindings, remembered);
    /** A rule may deny it once its name is known. */
    let mayBeDenied = false;
    for (const rule of rules) {
      if (!accepts(rule, bit, port)) continue;
      if (rule.target.kind !== "names") {
        if (isAbout(rule, subject)) return mayBeDenied ? deferred(rule.verdict) : rule.verdict;
        continue;
      }
      const { names } = rule.target;
      switch (evidence.kind) {
        case "bindings": {
          const verdict = byBindings(rule.action, names, subject);
          if (verdict !== null) return verdict;
          break;
        }
        case "sni": {
          const verdict = bySni(rule.action, names, subject, evidence.name);
          if (verdict !== null) return verdict;
          break;
        }
        case "deferred":
          if (rule.action === "deny") mayBeDenied = true;
          else {
            const verdict = byBindings("allow", names, subject);
            if (verdict !== null) return deferred(verdict);
          }
      }
    }
    return mayBeDenied ? deferred(otherwise) : otherwise;
  }
}

/** What would be allowed waits for the name; what is denied in any case is denied now. */
function deferred(verdict: Verdict): Verdict {
  return verdict.action === "deny" ? verdict : { ...verdict, action: "defer" };
}

/** Whether a rule about addresses is about this one. */
function isAbout({ target, action }: CompiledRule, subject: Subject): boolean {
  switch (target.kind) {
    case "any":
      return true;
    case "group":
      return subject.group === target.group;
    case "cidr":
      return action === "allow" ? subject.isIn(target.range) : subject.mayReach(target.range);
    case "names":
      return false;
  }
}

/** A name that stands for the address, by DNS alone. */
function byBindings(action: PolicyAction, names: NameSet, subject: Subject): Verdict | null {
  const found = names.firstOf(subject.names);
  return found === null ? null : { action, ...found };
}

/**
 * A name that TLS says. To deny, that is enough. To allow, DNS must have told that the address stands for it too, or for another name
 * below the same suffix: who may reach one name must not reach every address by saying it. And a name that DNS has not told of does
 * not hide the names that it has: what is denied by those is denied.
 */
function bySni(action: PolicyAction, names: NameSet, subject: Subject, sni: string): Verdict | null {
  for (const entry of names.matching(sni)) {
    const isProved =
      action === "deny" ||
      (entry.isSuffix ? subject.names.some((name) => isMeant(entry, name)) : subject.names.includes(sni));
    if (isProved) return { action, rule: entry.rule, name: sni };
  }
  return action === "deny" && !subject.names.includes(sni) ? byBindings(action, names, subject) : null;
}
