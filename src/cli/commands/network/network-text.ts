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
        return `OPEN   ${event.protocol} ${flowEnds(event)}, ${this.#decision("allowed", event)}`;
      case "flow-closed": {
        const { bytesSent, bytesReceived, reason } = event;
        return `CLOSE  ${event.protocol} ${flowEnds(event)}, ${bytes(bytesSent)} sent, ${bytes(bytesReceived)} received, ${reason}`;
      }
      case "flow-denied": {
        const times = event.count > 1 ? `, ${String(event.count)} times` : "";
        const why = this.#whyDenied(event);
        return `DENY   ${event.protocol} ${flowEnds(event)}, ${why}${times}`;
      }
      case "dns": {
        const { name, type, resolver, outcome, rcode, addresses } = event;
        const asked = resolver === null ? "" : ` of ${resolver}`;
        const answer = addresses.length === 0 ? rcode : addresses.join(" ");
        const decided = outcome === "denied" ? `, ${this.#decision("denied", event)}` : ` ${outcome}`;
        return `DNS    ${type} ${name}${asked}: ${answer}${outcome === "answered" ? "" : decided}`;
      }
      case "tls-failed": {
        const fault = event.side === "server" ? "its server" : "the guest";
        return `TLS    ${farEnd(event)} failed because of ${fault}: ${event.reason}`;
      }
      case "http": {
        const { method, host, path, outcome, rule, secrets, reason } = event;
        const decided = rule === null ? "" : ` by request rule ${String(rule)}`;
        const filled = secrets.length === 0 ? "" : `, with ${secrets.join(", ")}`;
        const why = reason === null ? "" : `: ${reason}`;
        return `HTTP   ${method} ${host ?? farEnd({ ...event, name: null })}${path} ${outcome}${decided}${filled}${why}`;
      }
      case "secret-violation": {
        const { envVar, host, serverName, action, location, form } = event;
        const to = farEnd({ ...event, name: host ?? serverName });
        return `SECRET ${envVar} was not meant for ${to}: its placeholder was in the ${location} (${form}), ${action}`;
      }
      case "secret-problem": {
        const { envVar, host, problem, reason } = event;
        const what = problem === "unscrubbed" ? "was not looked for in a response of" : "was not sent to";
        return `SECRET ${envVar} ${what} ${farEnd({ ...event, name: host })}: ${reason}`;
      }
      case "policy": {
        const { cause, policy, observe, rulesLeftOut = 0 } = event;
        const count = policy.rules.length + rulesLeftOut;
        const rules = `${String(count)} ${count === 1 ? "rule" : "rules"}`;
        const observed = observe ? ", observed: everything is allowed" : "";
        return `POLICY egress ${policy.defaultEgress}, ingress ${policy.defaultIngress}, ${rules} (${cause})${observed}`;
      }
      case "lost":
        return `LOST   ${String(event.count)} ${event.count === 1 ? "event" : "events"} could not be kept`;
    }
  }

  #whyDenied(event: Extract<NetworkLogEvent, { readonly kind: "flow-denied" }>): string {
    if (event.reason === "policy") return this.#decision("denied", event);
    return event.reason === "platform" ? "denied by the platform: multi-tenant" : event.reason;
  }

  #decision(what: string, { rule }: { readonly rule: number | null }): string {
    if (rule === null) return `${what} by default`;
    const known = this.#policy?.rules[rule] === undefined ? null : this.#policy;
    const text = known === null ? "" : ` (${this.#ruleText(known, rule)})`;
    return `${what} by rule ${String(rule)}${text}`;
  }
}

/** `to example.com:443 (93.184.216.34)`, `from 192.0.2.7 to port 80`: what is known of a peer's port is nothing. */
export function flowEnds(flow: Pick<FlowEvent, "direction" | "name" | "address" | "port">): string {
  if (flow.direction === "egress") return `to ${farEnd(flow)}`;
  const to = flow.port === null ? "" : ` to port ${String(flow.port)}`;
  return `from ${farEnd({ ...flow, port: null })}${to}`;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
