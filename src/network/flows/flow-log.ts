import type { IpAddress } from "../../host/ip/address.ts";
import type { DestinationGroup, RuleProtocol } from "../../config/network/policy-type.ts";
import type { FlowClosed, FlowDenied, NetworkEvent } from "../events.ts";
import type { Verdict } from "../policy/verdict.ts";
import { Denials } from "./denials.ts";

type Told = Omit<FlowDenied, "kind" | "reason" | "count">;

/** What a flow is about, as events tell it. */
export interface FlowSubject {
  readonly direction: "egress" | "ingress";
  readonly protocol: RuleProtocol;
  readonly address: IpAddress;
  readonly port: number | null;
}

/** Why a flow is let through: asked again when the policy changes. */
export interface Grounds {
  readonly verdict: Verdict;
  /** The name that TLS said; null: names are known by DNS. */
  readonly sni: string | null;
  /** Names that stood for the address when it was decided: they are evidence for as long as the flow lives. */
  readonly names: readonly string[];
}

/** A flow that has not ended, as it stands under the policy in force: `rule` is an index into its rules. */
export interface OpenFlow extends Omit<Told, "timestampMs" | "group"> {
  /** In ms since 1970. */
  readonly openedMs: number;
}

/** A flow that was let through. */
export class Flow {
  readonly openedMs = Date.now();
  readonly subject: FlowSubject;
  /** Payload of the guest. */
  sent = 0;
  received = 0;
  /** Ends it because the policy does not allow it any more; `closed` comes of it before it returns. */
  readonly end: () => void;
  readonly #number: number;
  /** Replaced when more is known, and when another policy decides. */
  grounds: Grounds;
  readonly #log: FlowLog;
  #isClosed = false;

  /** Made by {@link FlowLog.open}. */
  constructor(number: number, subject: FlowSubject, grounds: Grounds, end: () => void, log: FlowLog) {
    this.#number = number;
    this.subject = subject;
    this.grounds = grounds;
    this.end = end;
    this.#log = log;
  }

  get number(): number {
    return this.#number;
  }

  /** It is over. Only the first time counts. */
  closed(reason: FlowClosed["reason"]): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#log.closed(this, reason);
  }
}

/** Numbers flows, and tells what becomes of them. */
export class FlowLog {
  opened = 0;
  denied = 0;
  readonly active = new Set<Flow>();
  readonly #emit: (event: NetworkEvent) => void;
  readonly #groupOf: (address: IpAddress) => DestinationGroup | null;
  readonly #denials: Denials;

  constructor(emit: (event: NetworkEvent) => void, groupOf: (address: IpAddress) => DestinationGroup | null) {
    this.#emit = emit;
    this.#groupOf = groupOf;
    this.#denials = new Denials(emit);
  }

  /** @param end ends the flow when the policy does not allow it any more, and says {@link Flow.closed} with `policy` */
  open(subject: FlowSubject, grounds: Grounds, end: (flow: Flow) => void): Flow {
    this.opened++;
    const flow: Flow = new Flow(this.opened + this.denied, subject, grounds, () => end(flow), this);
    this.active.add(flow);
    this.#emit({ kind: "flow-opened", ...this.#describe(flow) });
    return flow;
  }

  /** A flow that was not let through. What the platform refuses is told as such, and not as the sandbox's own policy. */
  deny(subject: FlowSubject, verdict: Verdict, reason: FlowDenied["reason"]): void {
    this.denied++;
    this.#denials.add({
      kind: "flow-denied",
      ...this.#told(this.opened + this.denied, subject, verdict.rule, verdict.name),
      reason: reason === "policy" && verdict.byPlatform === true ? "platform" : reason,
      count: 1,
    });
  }

  /** Called by {@link Flow.closed}. */
  closed(flow: Flow, reason: FlowClosed["reason"]): void {
    this.active.delete(flow);
    this.#emit({
      kind: "flow-closed",
      ...this.#describe(flow),
      bytesSent: flow.sent,
      bytesReceived: flow.received,
      reason,
    });
  }

  /** @returns the newest, at most so many, oldest first */
  list(most: number): OpenFlow[] {
    const list: OpenFlow[] = [];
    let older = this.active.size - most;
    for (const open of this.active) {
      if (older-- > 0) continue;
      const { flow, direction, protocol, address, port, name, rule } = this.#describe(open);
      list.push({ flow, openedMs: open.openedMs, direction, protocol, address, port, name, rule });
    }
    return list;
  }

  /** Tells what was held back: before another policy decides, for `rule` is an index into the rules of the old one; and in the end. */
  flush(): void {
    this.#denials.flush();
  }

  #describe({ number, subject, grounds }: Flow): Told {
    const { verdict, sni, names } = grounds;
    return this.#told(number, subject, verdict.rule, verdict.name ?? sni ?? names[0] ?? null);
  }

  #told(
    flow: number,
    { direction, protocol, address, port }: FlowSubject,
    rule: number | null,
    name: string | null,
  ): Told {
    return {
      timestampMs: Date.now(),
      flow,
      direction,
      protocol,
      address: address.toString(),
      group: this.#groupOf(address),
      port,
      name,
      rule,
    };
  }
}
