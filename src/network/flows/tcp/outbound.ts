import type { Verdict } from "../../policy/verdict.ts";
import type { TcpRequest } from "../../tcp/connection.ts";
import { OutboundFlow, type OutboundFlowOptions } from "./outbound-flow.ts";

/** DNS over TLS: nobody here can read it, so nobody could hold names against the policy. */
const dnsOverTlsPort = 853;
const dnsPort = 53;

export interface OutboundOptions extends OutboundFlowOptions {
  readonly maxConnections: number;
  /** Answers questions that come by TCP. */
  readonly dns: (request: TcpRequest) => void;
}

/** Connections of the guest to the outside. */
export class OutboundTcp {
  maxConnections: number;
  readonly #options: OutboundOptions;
  readonly #open = new Set<OutboundFlow>();

  constructor(options: OutboundOptions) {
    this.#options = options;
    this.maxConnections = options.maxConnections;
  }

  request(request: TcpRequest): void {
    const { gatekeeper, log, dns, reading } = this.#options;
    const { port } = request.remote;
    // Whoever has the TLS of these ports intercepted means that of DNS as well.
    const isIntercepted = reading.rules?.isIntercepted(port) === true;
    if (port === dnsPort && !isIntercepted) {
      dns(request);
      return;
    }
    const address = request.remote.address.unmapped();
    const subject = { direction: "egress", protocol: "tcp", address, port } as const;
    const refuse = (verdict: Verdict, reason: "policy" | "max-connections" | "blocked-port"): void => {
      request.refuse("reset");
      log.deny(subject, verdict, reason);
    };
    if ((port === dnsOverTlsPort && !isIntercepted) || port === 0) {
      refuse({ action: "deny", rule: null, name: null }, "blocked-port");
      return;
    }
    const verdict = gatekeeper.egress(subject, { kind: "deferred" });
    if (verdict.action === "deny") {
      refuse(verdict, "policy");
      return;
    }
    if (this.#open.size >= this.maxConnections) {
      refuse(verdict, "max-connections");
      return;
    }
    const flow = new OutboundFlow(request, address, this.#options, () => this.#open.delete(flow));
    this.#open.add(flow);
    flow.begin(verdict);
  }

  /** Ends them all. */
  close(): void {
    for (const flow of this.#open) flow.end("stopped");
  }
}
