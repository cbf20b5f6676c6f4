import { IpAddress } from "../../../host/ip/address.ts";
import type { IcmpErrors } from "../../ip/icmp-errors.ts";
import type { IpPacket, IpSender } from "../../ip/packet.ts";
import type { Verdict } from "../../policy/verdict.ts";
import type { FlowLog, FlowSubject } from "../flow-log.ts";
import type { Gatekeeper } from "../gatekeeper.ts";
import { RareWarning } from "../rare-warning.ts";
import type { Slabs } from "../slabs.ts";
import { readDatagram, sendDatagram, type Datagram } from "./datagram.ts";
import { UdpSession } from "./session.ts";

const dnsPort = 53;
/** DNS over QUIC, multicast DNS, LLMNR and NetBIOS names: other ways to names than the one that the policy sees. */
const nameServicePorts = new Set([853, 5353, 5355, 137]);

const maxSessions = 256;
const idleMs = 60_000;
/** A session lives as much longer than it should, at most. */
const sweepMs = 5000;

export interface OutboundUdpOptions {
  readonly ip: IpSender;
  readonly icmp: IcmpErrors;
  readonly gatekeeper: Gatekeeper;
  readonly log: FlowLog;
  readonly slabs: Slabs;
  readonly warn: (message: string) => void;
  /** Whether nothing may go to this port, so that QUIC gives up and TLS by TCP, which can be read, takes its place. */
  readonly isQuicBlocked: (port: number) => boolean;
  /** A question to a resolver, wherever it is. */
  readonly dns: (packet: IpPacket, datagram: Datagram) => void;
  /** A reply to a peer of a published port: true when it was one. */
  readonly published: (packet: IpPacket, datagram: Datagram) => boolean;
}

/** Datagrams of the guest. */
export class OutboundUdp {
  readonly #options: OutboundUdpOptions;
  /** By both ports; those in a list differ by the address outside. */
  readonly #sessions = new Map<number, UdpSession[]>();
  readonly #noSocket: RareWarning;
  #count = 0;
  #sweep: NodeJS.Timeout | null = null;

  constructor(options: OutboundUdpOptions) {
    this.#options = options;
    this.#noSocket = new RareWarning(options.warn);
  }

  packet(packet: IpPacket): void {
    const { dns, published } = this.#options;
    const datagram = readDatagram(packet);
    if (datagram === null || published(packet, datagram)) return;
    if (datagram.port === dnsPort) dns(packet, datagram);
    else this.#pass(packet, datagram);
  }

  close(): void {
    for (const list of [...this.#sessions.values()])
      for (const session of [...list]) this.#end(session, "stopped");
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
  }

  #pass(packet: IpPacket, datagram: Datagram): void {
    const { gatekeeper, icmp, log } = this.#options;
    const known = this.#find(packet, datagram);
    const subject = known?.flow?.subject ?? subjectOf(packet, datagram);
    if (nameServicePorts.has(datagram.port)) {
      log.deny(subject, { action: "deny", rule: null, name: null }, "blocked-port");
      return;
    }
    if (this.#options.isQuicBlocked(datagram.port)) {
      if (known !== undefined) this.#end(known, "policy");
      // As from a server that does not know QUIC: clients fall back at once.
      icmp.unreachable(packet, "port");
      log.deny(subject, { action: "deny", rule: null, name: null }, "blocked-port");
      return;
    }
    // Each one is asked about: a name may have come to stand for something else.
    const verdict = gatekeeper.egress(subject, { kind: "bindings" });
    if (verdict.action !== "allow") {
      if (known !== undefined) this.#end(known, "policy");
      icmp.unreachable(packet, "prohibited");
      log.deny(subject, verdict, "policy");
      return;
    }
    const session = known ?? this.#open(packet, datagram, subject, verdict);
    session.lastUsedMs = performance.now();
    session.send(packet, datagram.payloadAt, datagram.end);
  }

  #find({ buffer, destinationAt }: IpPacket, { guestPort, port }: Datagram): UdpSession | undefined {
    return this.#sessions.get(keyOf(guestPort, port))?.find(({ remote }) => {
      const { bytes } = remote.address;
      return bytes.every((byte, index) => byte === buffer[destinationAt + index]);
    });
  }

  #open(packet: IpPacket, { guestPort, port }: Datagram, subject: FlowSubject, verdict: Verdict): UdpSession {
    const { ip, icmp, gatekeeper, log, slabs } = this.#options;
    if (this.#count >= maxSessions) this.#end(this.#oldest(), "idle");
    const address = IpAddress.read(packet.buffer, packet.destinationAt, packet.family);
    const isHost = gatekeeper.isGateway(address);
    const remote = { address, port };
    const session: UdpSession = new UdpSession({
      remote,
      guestPort,
      host: isHost ? (packet.family === 4 ? "127.0.0.1" : "::1") : subject.address.toString(),
      hostFamily: isHost ? packet.family : subject.address.family,
      slabs,
      icmp,
      reply: (payload) => sendDatagram(ip, remote, guestPort, payload),
      failed: (error) => {
        if (error.code === "EMFILE" || error.code === "ENFILE")
          this.#noSocket.tell(`a datagram of the guest got no socket of the host: ${error.message}`);
        this.#end(session, "unreachable");
      },
    });
    session.flow = log.open(subject, gatekeeper.grounds(subject, verdict, null), () =>
      this.#end(session, "policy"),
    );
    const key = keyOf(guestPort, port);
    const list = this.#sessions.get(key);
    if (list === undefined) this.#sessions.set(key, [session]);
    else list.push(session);
    this.#count++;
    this.#sweep ??= setInterval(() => this.#endIdle(), sweepMs).unref();
    return session;
  }

  #end(session: UdpSession | undefined, reason: "idle" | "policy" | "stopped" | "unreachable"): void {
    if (session === undefined) return;
    const key = keyOf(session.guestPort, session.remote.port);
    const list = this.#sessions.get(key);
    const index = list?.indexOf(session) ?? -1;
    if (list === undefined || index < 0) return;
    list.splice(index, 1);
    if (list.length === 0) this.#sessions.delete(key);
    this.#count--;
    session.close();
    session.flow?.closed(reason);
    if (this.#count > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
  }

  #oldest(): UdpSession | undefined {
    let oldest: UdpSession | undefined;
    for (const list of this.#sessions.values())
      for (const session of list)
        if (oldest === undefined || session.lastUsedMs < oldest.lastUsedMs) oldest = session;
    return oldest;
  }

  #endIdle(): void {
    const before = performance.now() - idleMs;
    for (const list of [...this.#sessions.values()])
      for (const session of [...list]) if (session.lastUsedMs < before) this.#end(session, "idle");
  }
}

function keyOf(guestPort: number, port: number): number {
  return guestPort * 0x1_0000 + port;
}

function subjectOf(
  { buffer, destinationAt, family }: IpPacket,
  { port }: Datagram,
): FlowSubject & { direction: "egress" } {
  const address = IpAddress.read(buffer, destinationAt, family).unmapped();
  return { direction: "egress", protocol: "udp", address, port };
}
