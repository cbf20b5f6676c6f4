import { IpAddress } from "../../host/ip/address.ts";
import { isEchoRequest } from "../ip/icmp-echo.ts";
import type { IcmpErrors } from "../ip/icmp-errors.ts";
import type { IpPacket } from "../ip/packet.ts";
import type { FlowLog, FlowSubject } from "./flow-log.ts";
import type { Gatekeeper } from "./gatekeeper.ts";

export interface EchoFrontOptions {
  readonly gatekeeper: Gatekeeper;
  readonly log: FlowLog;
  readonly errors: IcmpErrors;
  readonly isMultiTenant: boolean;
}

/**
 * Echo requests (ping). The gateway answers those to itself when the policy allows them. None is passed on: Node has no ICMP sockets. The
 * guest is told so at once, as if it were not allowed, rather than left to wait.
 */
export class EchoFront {
  readonly #options: EchoFrontOptions;

  constructor(options: EchoFrontOptions) {
    this.#options = options;
  }

  /** Whether the gateway answers this echo request to itself. */
  answers(packet: IpPacket): boolean {
    const { gatekeeper, log, isMultiTenant } = this.#options;
    if (isMultiTenant) return false;
    const subject = subjectOf(packet);
    const verdict = gatekeeper.egress(subject, { kind: "bindings" });
    if (verdict.action === "allow") return true;
    log.deny(subject, verdict, "policy");
    return false;
  }

  /** One to somebody outside. */
  outside(packet: IpPacket): void {
    if (!isEchoRequest(packet)) return;
    const { gatekeeper, log, errors } = this.#options;
    const subject = subjectOf(packet);
    const verdict = gatekeeper.egress(subject, { kind: "bindings" });
    errors.unreachable(packet, "prohibited");
    log.deny(subject, verdict, verdict.action === "allow" ? "unsupported" : "policy");
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
