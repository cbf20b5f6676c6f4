import { anyHost, matchesHost } from "../../config/network/interception/host-pattern.ts";
import type { HttpRule } from "../../config/network/interception/http-type.ts";
import { matchesPath } from "./path-pattern.ts";
import { pathReadings } from "./path-readings.ts";

export interface RuleDecision {
  readonly action: "allow" | "deny";
  /** Index of the rule that decided; null: none did. */
  readonly rule: number | null;
  /** Set when nobody can be sure what its path is: the rule is the first that would have had to look at it. */
  readonly isUnreadable?: true;
}

/** Whom a request is for. */
export interface RequestedHost {
  /** In lower case; null: it says none. */
  readonly host: string | null;
  /**
   * Whether the server that it goes to is known to be of such a name. null: `host` is proved. Where it is not, a rule that denies a name holds
   * whether the name is said or is the server's, and one that allows a name only when both are so: a guest may say what it likes.
   */
  readonly isBoundTo: ((matches: (name: string) => boolean) => boolean) | null;
}

type Candidate = HttpRule & { readonly index: number };

/**
 * What rules say of a request: the first that matches decides, and none that does allows it. A path that servers may read in several ways
 * has to be allowed in each.
 */
export function decideRequest(
  rules: readonly HttpRule[],
  method: string,
  about: RequestedHost,
  target: string,
): RuleDecision {
  const upper = method.toUpperCase();
  const candidates: Candidate[] = [];
  for (const [index, rule] of rules.entries()) {
    if (rule.methods.length > 0 && !rule.methods.includes(upper)) continue;
    if (!isAbout(rule, about)) continue;
    candidates.push({ ...rule, index });
    // It decides whatever the path is: none behind it is ever asked.
    if (rule.path === null) break;
  }
  if (!candidates.some(({ action }) => action === "deny")) return decideUnrefused(candidates, target);
  if (candidates[0]?.path === null) return decision(candidates[0]);
  const readings = pathReadings(target);
  if (readings === null) return { action: "deny", rule: candidates[0]?.index ?? null, isUnreadable: true };
  let last: RuleDecision = { action: "allow", rule: null };
  for (const path of readings) {
    last = decision(candidates.find((rule) => isAboutPath(rule, path)));
    if (last.action === "deny") return last;
  }
  return last;
}

/** It is allowed, and a rule may be told by which. */
function decideUnrefused(candidates: readonly Candidate[], target: string): RuleDecision {
  const [path] = pathReadings(target) ?? [];
  return decision(
    candidates.find((rule) => rule.path === null || (path !== undefined && isAboutPath(rule, path))),
  );
}

function isAbout({ action, host: pattern }: HttpRule, { host, isBoundTo }: RequestedHost): boolean {
  if (pattern === anyHost) return true;
  const isSaid = host !== null && matchesHost(pattern, host);
  if (isBoundTo === null) return isSaid;
  const isKnown = isBoundTo((name) => matchesHost(pattern, name));
  return action === "deny" ? isSaid || isKnown : isSaid && isKnown;
}

/** To deny a path is to deny it with a slash at its end, and what is below a path the path itself: many servers take them for one. */
function isAboutPath({ action, path: pattern }: HttpRule, path: string): boolean {
  if (pattern === null || matchesPath(pattern, path)) return true;
  return action === "deny" && matchesPath(pattern, path.endsWith("/") ? path.slice(0, -1) : `${path}/`);
}

function decision(rule: Candidate | undefined): RuleDecision {
  return rule === undefined ? { action: "allow", rule: null } : { action: rule.action, rule: rule.index };
}

/** Whether any request to a host could be refused: then nothing may pass there that cannot be read. */
export function mayRefuse(rules: readonly HttpRule[], host: string | null): boolean {
  return rules.some(
    ({ action, host: pattern }) => action === "deny" && (host === null || matchesHost(pattern, host)),
  );
}
