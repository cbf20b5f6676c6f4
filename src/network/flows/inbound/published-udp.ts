import type { RemoteInfo } from "node:dgram";
import type { LinkAddresses } from "../../../config/network/link-addresses.ts";
import { IpAddress } from "../../../host/ip/address.ts";
import type { IpPacket, IpSender } from "../../ip/packet.ts";
import type { Flow, FlowLog, FlowSubject } from "../flow-log.ts";
import type { Gatekeeper } from "../gatekeeper.ts";
import type { Listener, UdpListener } from "../ports/listeners.ts";
import { type Datagram, sendDatagram } from "../udp/datagram.ts";
import { SourcePorts } from "./source-ports.ts";

const idleMs = 60_000;
const sweepMs = 5000;

export interface PublishedUdpOptions {
  readonly ip: IpSender;
  readonly addresses: LinkAddresses;
  readonly gatekeeper: Gatekeeper;
  readonly log: FlowLog;
  /** Somebody is let in. */
  readonly arrived: () => void;
}

/** Somebody outside who has sent something to a published port, as the guest sees him: a port of the gateway. */
interface Peer {
  readonly listener: UdpListener;
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly guestPort: number;
  readonly gatewayPort: number;
  readonly flow: Flow;
  lastUsedMs: number;
}

/** Datagrams that come in by published ports, and what the guest answers. */
export class PublishedUdp {
  readonly #options: PublishedUdpOptions;
  readonly #ports = new SourcePorts();
  readonly #byKey = new Map<string, Peer>();
  readonly #byGatewayPort = new Map<number, Peer>();
  #sweep: NodeJS.Timeout | null = null;

  constructor(options: PublishedUdpOptions) {
    this.#options = options;
  }

  datagram(listener: UdpListener, payload: Buffer, { address, port }: RemoteInfo): void {
    const { ip, addresses, gatekeeper, log } = this.#options;
    const from = IpAddress.parse(address.replace(/%.*/, ""))?.unmapped();
    const gateway = addresses.ipv4?.gateway ?? addresses.ipv6?.gateway;
    if (from === undefined || gateway === undefined) return;
    const subject: FlowSubject = {
      direction: "ingress",
      protocol: "udp",
      address: from,
      port: listener.port.guestPort,
    };
    const verdict = gatekeeper.ingress(policyFlow(subject));
    if (verdict.action !== "allow") {
      log.deny(subject, verdict, "policy");
      return;
    }
    const { hostBind, hostPort } = listener.port;
    const key = `${hostBind} ${hostPort} ${address} ${port}`;
    const peer = this.#byKey.get(key) ?? this.#open(listener, key, address, port, subject, verdict);
    if (peer === null) return;
    peer.lastUsedMs = performance.now();
    this.#options.arrived();
    if (sendDatagram(ip, { address: gateway, port: peer.gatewayPort }, peer.guestPort, payload))
      peer.flow.received += payload.length;
  }

  /** @returns whether it goes to a peer: then it has been passed on, or was too late */
  reply(packet: IpPacket, { guestPort, port, payloadAt, end }: Datagram): boolean {
    const peer = this.#byGatewayPort.get(port);
    if (peer?.guestPort !== guestPort) return false;
    const to = IpAddress.read(packet.buffer, packet.destinationAt, packet.family);
    if (!this.#options.gatekeeper.isGateway(to)) return false;
    peer.lastUsedMs = performance.now();
    if (peer.listener.send(packet.buffer.subarray(payloadAt, end), peer)) peer.flow.sent += end - payloadAt;
    return true;
  }

  portClosed(listener: Listener): void {
    for (const peer of this.#byKey.values()) if (peer.listener === listener) this.#end(peer, "stopped");
  }

  close(): void {
    for (const peer of this.#byKey.values()) this.#end(peer, "stopped");
  }

  #open(
    listener: UdpListener,
    key: string,
    address: string,
    port: number,
    subject: FlowSubject,
    verdict: ReturnType<Gatekeeper["ingress"]>,
  ): Peer | null {
    const { gatekeeper, log } = this.#options;
    const gatewayPort = this.#ports.take();
    if (gatewayPort === null) return null;
    const flow = log.open(subject, gatekeeper.grounds(policyFlow(subject), verdict, null), () =>
      this.#end(peer, "policy"),
    );
    const peer: Peer = {
      listener,
      key,
      address,
      port,
      guestPort: listener.port.guestPort,
      gatewayPort,
      flow,
      lastUsedMs: 0,
    };
    this.#byKey.set(key, peer);
    this.#byGatewayPort.set(gatewayPort, peer);
    this.#sweep ??= setInterval(() => this.#endIdle(), sweepMs).unref();
    return peer;
  }

  #end(peer: Peer, reason: "idle" | "policy" | "stopped"): void {
    this.#byKey.delete(peer.key);
    this.#byGatewayPort.delete(peer.gatewayPort);
    this.#ports.release(peer.gatewayPort);
    peer.flow.closed(reason);
    if (this.#byKey.size > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
  }

  #endIdle(): void {
    const before = performance.now() - idleMs;
    for (const peer of this.#byKey.values()) if (peer.lastUsedMs < before) this.#end(peer, "idle");
  }
}

function policyFlow({ protocol, address, port }: FlowSubject): FlowSubject & { direction: "ingress" } {
  return { direction: "ingress", protocol, address, port };
}
