import { InvalidConfigError } from "../../../errors/index.ts";
import { built, shown } from "../../checks.ts";
import type { NetworkPolicy, PolicyAction, RuleDirection } from "../policy-type.ts";
import { finishRule, RuleBuilder, type RuleDraft } from "./rule-builder.ts";

/**
 * Says a policy. Without a word: nothing goes out, everybody may come to published ports. Rules decide in the order in which they
 * were said. Names need DNS: a rule for a name allows to ask for it, {@link NetworkPolicyBuilder.allowDns} to ask for any.
 *
 * @example
 * ```ts
 * import { NetworkPolicyBuilder, Sandbox } from "microsandbox";
 *
 * const policy = new NetworkPolicyBuilder()
 *   .egress((r) => r.tcp().port(443).allowDomain("example.com").allowDomainSuffix("example.org"))
 *   .ingress((r) => r.denyPublic())
 *   .build();
 * await using sandbox = await Sandbox.builder("policy-builder-example")
 *   .image("localhost/base")
 *   .network((n) => n.policy(policy))
 *   .replace()
 *   .create();
 * console.log(policy.defaultEgress, policy.rules.length); // deny 3
 * ```
 */
export class NetworkPolicyBuilder {
  #egress: PolicyAction = "deny";
  #ingress: PolicyAction = "allow";
  readonly #rules: RuleDraft[] = [];

  /** What no rule is about is allowed, in both directions. */
  defaultAllow(): this {
    return this.defaultEgress("allow").defaultIngress("allow");
  }

  /** What no rule is about is denied, in both directions. */
  defaultDeny(): this {
    return this.defaultEgress("deny").defaultIngress("deny");
  }

  /** @throws InvalidConfigError */
  defaultEgress(action: PolicyAction): this {
    this.#egress = checkAction(action);
    return this;
  }

  /** @throws InvalidConfigError */
  defaultIngress(action: PolicyAction): this {
    this.#ingress = checkAction(action);
    return this;
  }

  /** Rules whose direction is said in the function. */
  rule(configure: (rule: RuleBuilder) => RuleBuilder): this {
    return this.#add("rule", null, configure);
  }

  /** Rules about what the sandbox begins. */
  egress(configure: (rule: RuleBuilder) => RuleBuilder): this {
    return this.#add("egress", "egress", configure);
  }

  /** Rules about what comes to published ports. */
  ingress(configure: (rule: RuleBuilder) => RuleBuilder): this {
    return this.#add("ingress", "ingress", configure);
  }

  /** Rules about both. */
  any(configure: (rule: RuleBuilder) => RuleBuilder): this {
    return this.#add("any", "any", configure);
  }

  /** Any name can be asked of the gateway. */
  allowDns(): this {
    return this.#dns((rule) => rule.allowHost());
  }

  /** No name can be asked of the gateway, but those that an earlier rule allows. */
  denyDns(): this {
    return this.#dns((rule) => rule.denyHost());
  }

  /** @throws InvalidConfigError for the first rule that is wrong */
  build(): NetworkPolicy {
    const rules = this.#rules.map(finishRule);
    return { defaultEgress: this.#egress, defaultIngress: this.#ingress, rules };
  }

  #dns(decide: (rule: RuleBuilder) => RuleBuilder): this {
    return this.egress((rule) => decide(rule.udp().tcp().port(53)));
  }

  #add(name: string, direction: RuleDirection | null, configure: (rule: RuleBuilder) => RuleBuilder): this {
    this.#rules.push(...built(name, configure, new RuleBuilder(direction)).drafts());
    return this;
  }
}

function checkAction(action: unknown): PolicyAction {
  if (action === "allow" || action === "deny") return action;
  throw new InvalidConfigError(`unknown action ${shown(action)}`, { hint: "Use allow or deny." });
}
