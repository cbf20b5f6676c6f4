import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from "node:net";
import { decode, encode, type Answer as Record, type DecodedPacket, type Packet } from "dns-packet";

export interface AskedOfServer {
  readonly packet: DecodedPacket;
  readonly bytes: Buffer;
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp";
  /** Says something, maybe more than once. */
  readonly say: (message: Buffer) => void;
  /** An answer with the question's id and question. */
  readonly reply: (packet: Packet & { rcode?: string }) => Buffer;
}

/** A resolver on loopback, with UDP and TCP on one port, that says what it is told to. */
export class DnsServer implements AsyncDisposable {
  readonly port: number;
  readonly asked: AskedOfServer[] = [];
  readonly #udp: UdpSocket;
  readonly #tcp: TcpServer;
  readonly #connections = new Set<Socket>();
  #handler: (asked: AskedOfServer) => void;

  private constructor(udp: UdpSocket, tcp: TcpServer, handler: (asked: AskedOfServer) => void) {
    this.port = udp.address().port;
    this.#udp = udp;
    this.#tcp = tcp;
    this.#handler = handler;
    udp.on("message", (bytes, peer) => {
      this.#ask(bytes, "udp", (message) => {
        udp.send(message, peer.port, peer.address);
      });
    });
    tcp.on("connection", (socket) => {
      this.#connections.add(socket);
      socket.on("close", () => this.#connections.delete(socket)).on("error", () => undefined);
      let received = Buffer.alloc(0);
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
          const end = 2 + received.readUInt16BE(0);
          this.#ask(received.subarray(2, end), "tcp", (message) => {
            const length = Buffer.alloc(2);
            length.writeUInt16BE(message.length);
            socket.write(Buffer.concat([length, message]));
          });
          received = received.subarray(end);
        }
      });
    });
  }

  static async start(handler: (asked: AskedOfServer) => void): Promise<DnsServer> {
    for (;;) {
      const udp = createSocket("udp4");
      udp.bind(0, "127.0.0.1");
      await once(udp, "listening");
      const tcp = createServer();
      tcp.listen(udp.address().port, "127.0.0.1");
      try {
        await once(tcp, "listening");
        return new DnsServer(udp, tcp, handler);
      } catch {
        // Somebody has that port for TCP.
        udp.close();
      }
    }
  }

  /** What it does from now on. */
  set handler(handler: (asked: AskedOfServer) => void) {
    this.#handler = handler;
  }

  get address(): AddressInfo {
    return this.#udp.address();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    this.#tcp.close();
    this.#udp.close();
    await Promise.all([once(this.#tcp, "close"), once(this.#udp, "close")]);
  }

  #ask(bytes: Buffer, transport: "udp" | "tcp", say: (message: Buffer) => void): void {
    const packet = decode(bytes);
    const [question] = packet.questions ?? [];
    const asked = {
      packet,
      bytes,
      name: question?.name ?? "",
      type: question?.type ?? "",
      transport,
      say,
      reply: (given: Packet & { rcode?: string }) => reply(bytes, packet, given),
    };
    this.asked.push(asked);
    this.#handler(asked);
  }
}

const rcodes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

function reply(bytes: Buffer, { id, questions }: DecodedPacket, given: Packet & { rcode?: string }): Buffer {
  const message = encode({
    type: "response",
    id: id ?? 0,
    questions: questions ?? [],
    flags: 0x0180,
    ...given,
  });
  message.writeUInt16BE((message.readUInt16BE(2) & 0xfff0) | rcodes.indexOf(given.rcode ?? "NOERROR"), 2);
  // The library makes text of names; the question goes back as it came.
  const questionEnd = bytes.indexOf(0, 12) + 5;
  if ((questions ?? []).length === 1) bytes.copy(message, 12, 12, questionEnd);
  return message;
}

/** A or AAAA, by the address. */
export function addressRecord(name: string, address: string, ttl = 60): Record {
  return { name, type: address.includes(":") ? "AAAA" : "A", ttl, data: address };
}

export function cname(name: string, target: string, ttl = 60): Record {
  return { name, type: "CNAME", ttl, data: target };
}
