import { Socket } from "node:net";
import { IpAddress } from "../../../host/ip/address.ts";
import { withSharedBuffer } from "../../../host/system/shared-read-buffer.ts";
import type { FlowClosed } from "../../events.ts";
import type { TcpConnection } from "../../tcp/connection.ts";
import type { Flow, FlowLog } from "../flow-log.ts";
import type { Gatekeeper } from "../gatekeeper.ts";
import type { Listener } from "../ports/listeners.ts";
import type { Slabs } from "../slabs.ts";
import { Splice } from "../tcp/splice.ts";
import { dialGuest, type DialGuestOptions, type GuestDialer } from "./dial-guest.ts";
import { proxyHeader } from "./proxy-header.ts";

/** Of all ports together, as many as `maxConnections` can be; what the guest connects to outside is counted by itself. */
const maxConnections = 4096;

export interface PublishedTcpOptions extends DialGuestOptions {
  readonly gatekeeper: Gatekeeper;
  readonly log: FlowLog;
  readonly slabs: Slabs;
  /** Somebody is let in. */
  readonly arrived: () => void;
}

/** Connections that come in by published ports. */
export class PublishedTcp {
  readonly #options: PublishedTcpOptions;
  readonly #open = new Set<InboundFlow>();

  constructor(options: PublishedTcpOptions) {
    this.#options = options;
  }

  get isInUse(): boolean {
    return this.#open.size > 0;
  }

  /** @param socket paused */
  connection(listener: Listener, socket: Socket): void {
    const { gatekeeper, log } = this.#options;
    const peer = IpAddress.parse(socket.remoteAddress?.replace(/%.*/, "") ?? "")?.unmapped();
    if (peer === undefined) {
      // It is gone already.
      socket.destroy();
      return;
    }
    const { guestPort } = listener.port;
    const subject = { direction: "ingress", protocol: "tcp", address: peer, port: guestPort } as const;
    const verdict = gatekeeper.ingress(subject);
    const isFull = this.#open.size >= maxConnections;
    if (verdict.action !== "allow" || isFull) {
      socket.resetAndDestroy();
      log.deny(subject, verdict, verdict.action === "allow" ? "max-connections" : "policy");
      return;
    }
    const inbound = new InboundFlow(listener, this.#options, () => this.#open.delete(inbound));
    this.#open.add(inbound);
    this.#options.arrived();
    inbound.begin(
      socket,
      log.open(subject, gatekeeper.grounds(subject, verdict, null), () => inbound.end("policy")),
    );
  }

  /** Ends what came by a port. */
  portClosed(listener: Listener): void {
    for (const inbound of this.#open) if (inbound.listener === listener) inbound.end("stopped");
  }

  close(): void {
    for (const inbound of this.#open) inbound.end("stopped");
  }
}

/** One of them. */
class InboundFlow {
  readonly listener: Listener;
  readonly #options: PublishedTcpOptions;
  readonly #over: () => void;
  readonly #splice: Splice;
  #flow: Flow | null = null;
  #isEnding = false;

  constructor(listener: Listener, options: PublishedTcpOptions, over: () => void) {
    this.listener = listener;
    this.#options = options;
    this.#over = over;
    this.#splice = new Splice(options.slabs, (reason) => this.#ended(reason));
  }

  begin(accepted: Socket, flow: Flow): void {
    const { guestPort, proxyProtocol } = this.listener.port;
    this.#flow = flow;
    const splice = this.#splice;
    splice.flow = flow;
    const header = proxyProtocol ? proxyHeader(accepted) : null;
    const socket = withSharedBuffer(accepted);
    if (!(socket instanceof Socket)) throw new TypeError("a connection of a port is a socket");
    socket.pause();
    splice.join(socket);
    if (!dialGuest(this.#options, guestPort, dialerOf(splice, header))) splice.abort("reset");
  }

  end(reason: FlowClosed["reason"]): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#splice.abort("reset");
    this.#closed(reason);
  }

  #ended(reason: "closed" | "reset" | "timeout"): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#closed(reason);
  }

  #closed(reason: FlowClosed["reason"]): void {
    this.#over();
    this.#flow?.closed(reason);
  }
}

function dialerOf(splice: Splice, header: Buffer | null): GuestDialer {
  return {
    dialing: (connection: TcpConnection) => {
      splice.connection = connection;
    },
    established: () => {
      if (header !== null) splice.greet(header);
      splice.established();
    },
    data: (bytes) => splice.data(bytes),
    ended: () => splice.ended(),
    drained: () => splice.drained(),
    acknowledged: (bytes) => splice.acknowledged(bytes),
    closed: (how) => splice.closed(how),
  };
}
