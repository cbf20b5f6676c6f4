import { IpAddress } from "../../../host/ip/address.ts";
import { echoBytes, echoReply, isEchoRequest } from "../../ip/icmp-echo.ts";
import type { IcmpErrors } from "../../ip/icmp-errors.ts";
import type { IpPacket, IpSender } from "../../ip/packet.ts";
import type { Verdict } from "../../policy/verdict.ts";
import type { Flow, FlowLog, FlowSubject } from "../flow-log.ts";
import type { Gatekeeper } from "../gatekeeper.ts";
import type { HostEcho } from "./host-echo.ts";

export interface EchoFrontOptions {
  readonly gatekeeper: Gatekeeper;
  readonly log: FlowLog;
  readonly ip: IpSender;
  readonly errors: IcmpErrors;
  readonly host: HostEcho;
}

/** Echoes between the guest and one address are one flow, until none was asked for so long, ms. */
const idleMs = 10_000;
const sweepMs = 1_000;
/** More are let go, the oldest first. */
const mostFlows = 256;

interface EchoFlow {
  readonly flow: Flow;
  lastUsedMs: number;
}

/**
 * Echo requests (ping). The gateway answers those to itself when the policy allows them; those to others go out as the host's own. What
 * is not allowed, or cannot be done on this host, is told at once rather than left to be waited for.
 */
export class EchoFront {
  readonly #options: EchoFrontOptions;
  /** By address. */
  readonly #flows = new Map<string, EchoFlow>();
  #sweep: NodeJS.Timeout | null = null;

  constructor(options: EchoFrontOptions) {
    this.#options = options;
  }

  /** Whether the gateway answers this echo request to itself. */
  answers(packet: IpPacket): boolean {
    const { gatekeeper, log, ip } = this.#options;
    const subject = subjectOf(packet);
    const verdict = gatekeeper.egress(subject, { kind: "bindings" });
    if (verdict.action !== "allow") {
      log.deny(subject, verdict, "policy");
      return false;
    }
    const { flow } = this.#flowOf(subject, verdict);
    const bytes = echoBytes(packet);
    flow.sent += bytes;
    if (ip.isCongested) return false;
    flow.received += bytes;
    return true;
  }

  /** One to somebody outside. */
  outside(packet: IpPacket): void {
    if (!isEchoRequest(packet)) return;
    const { gatekeeper, log, errors } = this.#options;
    const subject = subjectOf(packet);
    const verdict = gatekeeper.egress(subject, { kind: "bindings" });
    if (verdict.action === "allow" && this.#ask(packet, subject, verdict)) return;
    errors.unreachable(packet, "prohibited");
    log.deny(subject, verdict, verdict.action === "allow" ? "unsupported" : "policy");
  }

  close(): void {
    for (const [address] of this.#flows) this.#end(address, "stopped");
  }

  #ask(packet: IpPacket, subject: FlowSubject, verdict: Verdict): boolean {
    const { ip, host } = this.#options;
    const reply = echoReply(packet);
    const asked = host.ask(subject.address, reply.data, (data) => {
      const { flow } = this.#flows.get(subject.address.toString()) ?? {};
      // Not allowed any more.
      if (flow === undefined || ip.isCongested) return;
      flow.received += data.length;
      ip.send({ ...reply.packet, payload: [Buffer.from(data)] });
    });
    if (!asked) return false;
    const { flow } = this.#flowOf(subject, verdict);
    flow.sent += reply.data.length;
    return true;
  }

  #flowOf(subject: FlowSubject, verdict: Verdict): EchoFlow {
    const { gatekeeper, log } = this.#options;
    const address = subject.address.toString();
    let found = this.#flows.get(address);
    if (found === undefined) {
      const [oldest] = this.#flows.keys();
      if (oldest !== undefined && this.#flows.size >= mostFlows) this.#end(oldest, "idle");
      const flow = log.open(subject, gatekeeper.grounds(subject, verdict, null), () => {
        this.#end(address, "policy");
      });
      found = { flow, lastUsedMs: 0 };
      this.#flows.set(address, found);
      this.#sweep ??= setInterval(() => {
        this.#endIdle();
      }, sweepMs).unref();
    }
    found.lastUsedMs = performance.now();
    return found;
  }

  #endIdle(): void {
    const before = performance.now() - idleMs;
    for (const [address, { lastUsedMs }] of this.#flows) if (lastUsedMs < before) this.#end(address, "idle");
  }

  #end(address: string, reason: "idle" | "policy" | "stopped"): void {
    const found = this.#flows.get(address);
    this.#flows.delete(address);
    if (this.#flows.size === 0 && this.#sweep !== null) {
      clearInterval(this.#sweep);
      this.#sweep = null;
    }
    found?.flow.closed(reason);
  }
}

function subjectOf({ buffer, destinationAt, family }: IpPacket): FlowSubject & { direction: "egress" } {
  return {
    direction: "egress",
    protocol: family === 4 ? "icmpv4" : "icmpv6",
    address: IpAddress.read(buffer, destinationAt, family).unmapped(),
    port: null,
  };
}
