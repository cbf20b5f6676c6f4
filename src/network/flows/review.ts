import type { IpAddress } from "../../host/ip/address.ts";
import type { Bindings } from "../policy/bindings.ts";
import type { Verdict } from "../policy/verdict.ts";
import type { Flow } from "./flow-log.ts";
import type { Gatekeeper } from "./gatekeeper.ts";

/**
 * Names for flows that were let through before: those that stood for the address then are as good as those that do now, for a connection
 * outlives the time for which a resolver vouches for its name.
 */
export class RememberedNames implements Bindings {
  readonly #now: Bindings;
  #names: readonly string[] = [];

  constructor(now: Bindings) {
    this.#now = now;
  }

  remember(names: readonly string[]): void {
    this.#names = names;
  }

  namesOf(address: IpAddress): readonly string[] {
    return [...new Set([...this.#names, ...this.#now.namesOf(address)])];
  }

  bind(): void {
    throw new Error("only DNS binds names");
  }

  clear(): void {
    throw new Error("only DNS clears names");
  }
}

/**
 * Ends the flows that are not allowed any more. Each is told of by the rule that decides about it now, also its end.
 *
 * @param gatekeeper with the new policy, made with these names
 */
export function review(flows: Iterable<Flow>, gatekeeper: Gatekeeper, names: RememberedNames): void {
  for (const flow of [...flows]) {
    names.remember(flow.grounds.names);
    const verdict = decide(flow, gatekeeper);
    flow.grounds = { ...flow.grounds, verdict };
    if (verdict.action !== "allow") flow.end();
  }
}

function decide({ subject, grounds }: Flow, gatekeeper: Gatekeeper): Verdict {
  if (subject.direction === "ingress") return gatekeeper.ingress(subject);
  const { sni } = grounds;
  return gatekeeper.egress(subject, sni === null ? { kind: "bindings" } : { kind: "sni", name: sni });
}
