import { IpAddress } from "../../host/ip/address.ts";
import type { DnsResolver } from "../dns/resolver.ts";
import { DnsTcpSession } from "../dns/tcp-session.ts";
import type { IpPacket, IpSender } from "../ip/packet.ts";
import type { TcpConnection, TcpHandler, TcpRequest } from "../tcp/connection.ts";
import type { FlowLog } from "./flow-log.ts";
import { type Datagram, sendDatagram } from "./udp/datagram.ts";

/** Questions by UDP that are answered at a time; more are dropped, as a resolver that is busy drops them. */
const maxQuestions = 64;
/** Of connections to port 53; they are no connections to anybody outside, and are counted by themselves. */
const maxConnections = 64;

/** Brings the guest's questions to the resolver, wherever they were sent, and the answers back from there. */
export class DnsFront {
  readonly #resolver: DnsResolver;
  readonly #ip: IpSender;
  readonly #log: FlowLog;
  readonly #over = new AbortController();
  readonly #connections = new Map<DnsTcpSession, TcpConnection>();
  #questions = 0;

  constructor(resolver: DnsResolver, ip: IpSender, log: FlowLog) {
    this.#resolver = resolver;
    this.#ip = ip;
    this.#log = log;
  }

  datagram(packet: IpPacket, { guestPort, port, payloadAt, end }: Datagram): void {
    if (this.#questions >= maxQuestions) return;
    const address = IpAddress.read(packet.buffer, packet.destinationAt, packet.family);
    const message = Buffer.from(packet.buffer.subarray(payloadAt, end));
    this.#questions++;
    void this.#answer(message, address, guestPort, port);
  }

  connection(request: TcpRequest): void {
    if (this.#connections.size >= maxConnections) {
      request.refuse("reset");
      this.#log.deny(
        { direction: "egress", protocol: "tcp", ...request.remote },
        { action: "deny", rule: null, name: null },
        "max-connections",
      );
      return;
    }
    const resolver = request.remote.address;
    const session = new DnsTcpSession((message, signal) =>
      this.#resolver.answer({ message, transport: "tcp", resolver }, signal),
    );
    const connections = this.#connections;
    const handler: TcpHandler = {
      data: (bytes) => session.data(bytes),
      ended: () => session.ended(),
      drained: () => session.drained(),
      acknowledged: () => undefined,
      closed: () => {
        connections.delete(session);
        session.closed();
      },
    };
    const connection = request.accept(handler);
    connections.set(session, connection);
    session.attach({
      write: (bytes) => connection.write(bytes),
      end: () => connection.end(),
      consume: (bytes) => connection.consume(bytes),
      reset: () => {
        connections.delete(session);
        connection.reset();
      },
    });
  }

  close(): void {
    this.#over.abort();
    for (const [session, connection] of this.#connections) {
      session.closed();
      connection.reset();
    }
    this.#connections.clear();
    this.#resolver.close();
  }

  async #answer(message: Buffer, resolver: IpAddress, guestPort: number, port: number): Promise<void> {
    const answer = await this.#resolver.answer({ message, transport: "udp", resolver }, this.#over.signal);
    this.#questions--;
    if (answer === null || this.#over.signal.aborted) return;
    sendDatagram(this.#ip, { address: resolver, port }, guestPort, answer);
  }
}
