import type { NetworkLogEvent, NetworkPolicy, PublishedPort } from "../../../api/index.ts";
import { bytes, jsonLine } from "../../output/format.ts";
import { oneLine } from "../../output/sanitize.ts";

/** A rule as text, for whoever has the words for it. */
export type RuleText = (policy: NetworkPolicy, index: number) => string;

type FlowEvent = Extract<NetworkLogEvent, { readonly kind: "flow-opened" | "flow-closed" | "flow-denied" }>;

/** `127.0.0.1:8080->80/tcp`, as docker writes it. */
export function publishedText({ hostBind, hostPort, guestPort, protocol }: PublishedPort): string {
  return `${hostText({ hostBind, hostPort })}->${String(guestPort)}/${protocol}`;
}

/** For a table; `-` for none. */
export function portsCell(ports: readonly PublishedPort[]): string {
  return ports.length === 0 ? "-" : ports.map(publishedText).join(", ");
}

/** A published port in JSON output. */
export function portJson(port: PublishedPort): object {
  const { hostBind, hostPort, guestPort, protocol, proxyProtocol } = port;
  return {
    host_bind: hostBind,
    host_port: hostPort,
    guest_port: guestPort,
    protocol,
    proxy_protocol: proxyProtocol,
  };
}

/** `127.0.0.1:8080`, `[::1]:8080`. */
export function hostText({ hostBind, hostPort }: Pick<PublishedPort, "hostBind" | "hostPort">): string {
  return `${bracketed(hostBind)}:${String(hostPort)}`;
}

/** `example.com:443 (93.184.216.34)`, `93.184.216.34:443`, `93.184.216.34` for ICMP. */
export function farEnd({ name, address, port }: Pick<FlowEvent, "name" | "address" | "port">): string {
  const suffix = port === null ? "" : `:${String(port)}`;
  return name === null ? `${bracketed(address)}${suffix}` : `${name}${suffix} (${address})`;
}

/** Puts the events of a network into lines. The guest chooses the names that are in them. */
export class NetworkEventText {
  readonly #ruleText: RuleText;
  /** That decides about the events that come. */
  #policy: NetworkPolicy | null = null;

  constructor(ruleText: RuleText) {
    this.#ruleText = ruleText;
  }

  /** One line, without its end. */
  line(event: NetworkLogEvent): string {
    if (event.kind === "policy") this.#policy = event.policy;
    return oneLine(`${new Date(event.timestampMs).toISOString()} ${this.#describe(event)}`);
  }

  /** As JSON, with its end. */
  json({ timestampMs, ...event }: NetworkLogEvent): string {
    return jsonLine({ t: new Date(timestampMs).toISOString(), ...event });
  }

  #describe(event: NetworkLogEvent): string {
    switch (event.kind) {
      case "flow-opened":
        return `OPEN   ${flowText(event)}, ${this.#decision("allowed", event)}`;
      case "flow-closed": {
        const { bytesSent, bytesReceived, reason } = event;
        return `CLOSE  ${flowText(event)}, ${bytes(bytesSent)} sent, ${bytes(bytesReceived)} received, ${reason}`;
      }
      case "flow-denied": {
        const times = event.count > 1 ? `, ${String(event.count)} times` : "";
        const why = event.reason === "policy" ? this.#decision("denied", event) : event.reason;
        return `DENY   ${flowText(event)}, ${why}${times}`;
      }
      case "dns": {
        const { name, type, resolver, outcome, rcode, addresses } = event;
        const asked = resolver === null ? "" : ` of ${resolver}`;
        const answer = addresses.length === 0 ? rcode : addresses.join(" ");
        const decided = outcome === "denied" ? `, ${this.#decision("denied", event)}` : ` ${outcome}`;
        return `DNS    ${type} ${name}${asked}: ${answer}${outcome === "answered" ? "" : decided}`;
      }
      case "policy": {
        const { cause, policy, observe } = event;
        const rules = `${String(policy.rules.length)} ${policy.rules.length === 1 ? "rule" : "rules"}`;
        const observed = observe ? ", observed: everything is allowed" : "";
        return `POLICY egress ${policy.defaultEgress}, ingress ${policy.defaultIngress}, ${rules} (${cause})${observed}`;
      }
      case "lost":
        return `LOST   ${String(event.count)} ${event.count === 1 ? "event" : "events"} could not be kept`;
    }
  }

  #decision(what: string, { rule }: { readonly rule: number | null }): string {
    if (rule === null) return `${what} by default`;
    const known = this.#policy?.rules[rule] === undefined ? null : this.#policy;
    const text = known === null ? "" : ` (${this.#ruleText(known, rule)})`;
    return `${what} by rule ${String(rule)}${text}`;
  }
}

function flowText(event: FlowEvent): string {
  const { direction, protocol } = event;
  return `${protocol} ${direction === "egress" ? "to" : "from"} ${farEnd(event)}`;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
