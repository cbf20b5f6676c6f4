import { Cidr } from "../../../host/ip/cidr.ts";
import { InvalidConfigError } from "../../../errors/index.ts";
import type { Rule } from "../policy-type.ts";
import { ruleTokens } from "./rule-text.ts";

/** What is not public and has ranges of its own; of IPv6, what leads to such IPv4 addresses is not among them. */
const notPublic = [
  ...["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
  ...["224.0.0.0/4", "::1/128", "fc00::/7", "fe80::/9", "ff00::/8"],
].map((text) => Cidr.parse(text));

/** Whether a rule allows what the platform refuses to every tenant: then it has no effect. */
export function isRefusedToTenants({ action, direction, destination }: Rule): boolean {
  if (action === "deny" || direction === "ingress") return false;
  if (destination.kind === "group") return destination.group !== "public";
  if (destination.kind !== "cidr") return false;
  const range = Cidr.parse(destination.cidr);
  return range !== null && notPublic.some((all) => all?.covers(range) === true);
}

/** @throws InvalidConfigError for rules that would change nothing */
export function checkTenantRules(rules: readonly Rule[]): void {
  const found = rules.find(isRefusedToTenants);
  if (found === undefined) return;
  throw new InvalidConfigError(
    `the rule ${ruleTokens(found).join(", ")} would have no effect: a multi-tenant sandbox reaches nothing but public addresses`,
    { hint: 'Leave it out, or create the sandbox with the deployment profile "single-tenant".' },
  );
}
