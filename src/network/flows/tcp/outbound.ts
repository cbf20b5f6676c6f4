import type { IpAddress } from "../../../host/ip/address.ts";
import type { FlowClosed } from "../../events.ts";
import type { Evidence, Verdict } from "../../policy/verdict.ts";
import type { TcpConnection, TcpRequest } from "../../tcp/connection.ts";
import type { FlowLog, Flow } from "../flow-log.ts";
import type { Gatekeeper } from "../gatekeeper.ts";
import type { Slabs } from "../slabs.ts";
import type { Dial, DialFailure, Target } from "./dial.ts";
import { FirstFlight, type Said } from "./first-flight.ts";
import { Splice } from "./splice.ts";

/** DNS over TLS: nobody here can read it, so nobody could hold names against the policy. */
const dnsOverTlsPort = 853;
const dnsPort = 53;

export interface OutboundOptions {
  readonly gatekeeper: Gatekeeper;
  readonly log: FlowLog;
  readonly slabs: Slabs;
  readonly maxConnections: number;
  /** For addresses outside: directly, or by a proxy. */
  readonly dial: Dial;
  /** For the host itself: never by a proxy. */
  readonly dialHost: Dial;
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
    const { gatekeeper, log, dns } = this.#options;
    const { port } = request.remote;
    if (port === dnsPort) {
      dns(request);
      return;
    }
    const address = request.remote.address.unmapped();
    const subject = { direction: "egress", protocol: "tcp", address, port } as const;
    const refuse = (verdict: Verdict, reason: "policy" | "max-connections" | "blocked-port"): void => {
      request.refuse("reset");
      log.deny(subject, verdict, reason);
    };
    if (port === dnsOverTlsPort || port === 0) {
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

/** One of them: from the guest's SYN on. */
class OutboundFlow {
  readonly #request: TcpRequest;
  readonly #address: IpAddress;
  readonly #options: OutboundOptions;
  readonly #over: () => void;
  readonly #splice: Splice;
  #connection: TcpConnection | null = null;
  #flow: Flow | null = null;
  #firstFlight: FirstFlight | null = null;
  #giveUp: (() => void) | null = null;
  #isEnding = false;

  constructor(request: TcpRequest, address: IpAddress, options: OutboundOptions, over: () => void) {
    this.#request = request;
    this.#address = address;
    this.#options = options;
    this.#over = over;
    this.#splice = new Splice(options.slabs, (reason) => this.#ended(reason));
  }

  begin(verdict: Verdict): void {
    this.#request.onAbandoned(() => this.end("closed"));
    if (verdict.action === "allow") this.#dial(verdict, null);
    else this.#listen();
  }

  /** Breaks it off, whatever it is about. */
  end(reason: FlowClosed["reason"]): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#giveUp?.();
    this.#firstFlight?.cancel();
    if (this.#connection === null) this.#request.refuse("reset");
    else this.#splice.abort("reset");
    this.#closed(reason);
  }

  /** A rule is about a name: the guest speaks first, to nobody yet. The only place where a flow's first bytes are looked at. */
  #listen(): void {
    const splice = this.#splice;
    const first = new FirstFlight(splice, {
      said: (what) => this.#decide(what),
      saidLate: (what) => this.#decideLate(what),
    });
    this.#firstFlight = first;
    this.#connection = this.#request.accept(first);
    splice.connection = this.#connection;
  }

  #decide(said: Said): void {
    const { gatekeeper, log } = this.#options;
    const subject = this.#subject();
    const sni = said.kind === "name" ? said.name : null;
    const evidence: Evidence = sni === null ? { kind: "bindings" } : { kind: "sni", name: sni };
    const verdict = gatekeeper.egress(subject, evidence);
    if (verdict.action === "allow" && said.kind !== "garbled") {
      this.#dial(verdict, sni);
      return;
    }
    log.deny(subject, { ...verdict, name: verdict.name ?? sni }, "policy");
    this.#isEnding = true;
    this.#splice.abort("reset");
    this.#over();
  }

  /** It was let through by what DNS has told, and now says a name itself. */
  #decideLate(said: Said): boolean {
    if (this.#isEnding) return false;
    if (said.kind === "none") return true;
    const { gatekeeper, log } = this.#options;
    const subject = this.#subject();
    const sni = said.kind === "name" ? said.name : null;
    const evidence: Evidence = sni === null ? { kind: "bindings" } : { kind: "sni", name: sni };
    const verdict = gatekeeper.egress(subject, evidence);
    if (verdict.action === "allow" && said.kind === "name") {
      if (this.#flow !== null) this.#flow.grounds = gatekeeper.grounds(subject, verdict, sni);
      return true;
    }
    log.deny(subject, { ...verdict, name: verdict.name ?? sni }, "policy");
    this.end("policy");
    return false;
  }

  /** The guest's SYN is answered by what becomes of it, unless it had to be answered before. */
  #dial(verdict: Verdict, sni: string | null): void {
    const { gatekeeper, log, dial, dialHost } = this.#options;
    const subject = this.#subject();
    this.#flow = log.open(subject, gatekeeper.grounds(subject, verdict, sni), () => this.end("policy"));
    this.#splice.flow = this.#flow;
    const isHost = gatekeeper.isGateway(this.#address);
    const targets = isHost ? loopback(this.#address, subject.port) : [target(this.#address, subject.port)];
    this.#giveUp = (isHost ? dialHost : dial)(targets, (dialed) => {
      this.#giveUp = null;
      if ("failure" in dialed) {
        this.#failed(dialed.failure);
        return;
      }
      if (this.#connection === null) {
        this.#connection = this.#request.accept(this.#splice);
        this.#splice.connection = this.#connection;
      }
      this.#splice.join(dialed.socket, dialed.early);
    });
  }

  #failed(failure: DialFailure): void {
    this.end(failure);
  }

  /** Neither side has anything left. */
  #ended(reason: "closed" | "reset" | "timeout"): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#giveUp?.();
    this.#firstFlight?.cancel();
    this.#closed(reason);
  }

  #closed(reason: FlowClosed["reason"]): void {
    this.#over();
    this.#flow?.closed(reason);
  }

  #subject(): { direction: "egress"; protocol: "tcp"; address: IpAddress; port: number } {
    return { direction: "egress", protocol: "tcp", address: this.#address, port: this.#request.remote.port };
  }
}

function target(address: IpAddress, port: number): Target {
  return { host: address.toString(), family: address.family, port };
}

/** The host itself, first by the family that the guest took. */
function loopback({ family }: IpAddress, port: number): readonly Target[] {
  const four: Target = { host: "127.0.0.1", family: 4, port };
  const six: Target = { host: "::1", family: 6, port };
  return family === 4 ? [four, six] : [six, four];
}
