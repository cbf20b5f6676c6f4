import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { addressRecord, rcodes, readQuestion, response, type Question } from "./dns-message.ts";
import { allAddresses, places } from "./places.ts";

export interface Asked extends Question {
  readonly transport: "udp" | "tcp";
  /** Where the question came to. */
  readonly at: string;
  readonly message: Buffer;
}

/** What is sent back: nothing, a message, or several. TCP ones without their length. */
export type Answer = (asked: Asked) => Buffer | readonly Buffer[] | null | Promise<Buffer | null>;

/** The resolver of the internet, at every address: answers as it is told, and knows what it was asked. */
export class Resolver implements AsyncDisposable {
  /** All that came, in order. */
  readonly asked: Asked[] = [];
  /** Questions that could not be read. */
  readonly garbage: Buffer[] = [];
  readonly #answers = new Map<string, Answer>();
  readonly #udp: UdpSocket[] = [];
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();

  private constructor() {
    this.#tcp = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<Resolver> {
    const resolver = new Resolver();
    await resolver.#listen();
    return resolver;
  }

  async #listen(): Promise<void> {
    // One for each address: an answer has to come from where the question went.
    for (const address of allAddresses) {
      const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
      socket.on("message", (message, peer) => void this.#answerDatagram(socket, address, message, peer));
      socket.bind(53, address);
      await once(socket, "listening");
      this.#udp.push(socket);
    }
    this.#tcp.listen(53, "::");
    await once(this.#tcp, "listening");
  }

  /** What a name stands for. A name without an address of the family is answered without records. */
  host(name: string, ...addresses: readonly string[]): void {
    this.answer(name, ({ message, name: asked, type }) =>
      response(message, {
        records: addresses
          .map((address) => addressRecord(asked, address))
          .filter((record) => record.type === type),
      }),
    );
  }

  /** @param name in lower case; `*.example.com` is every name below, where it has no answer of its own */
  answer(name: string, answer: Answer): void {
    this.#answers.set(name, answer);
  }

  /** Names asked since the last call, each once. */
  takeNames(): string[] {
    return [...new Set(this.asked.splice(0).map(({ name }) => name.toLowerCase()))];
  }

  #find(name: string): Answer | undefined {
    const labels = name.split(".");
    for (let from = 0; from < labels.length; from++) {
      const key = from === 0 ? name : `*.${labels.slice(from).join(".")}`;
      const found = this.#answers.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #reply(message: Buffer, transport: "udp" | "tcp", at: string): Promise<readonly Buffer[]> {
    let asked: Asked;
    try {
      asked = { ...readQuestion(message), transport, at, message };
    } catch {
      this.garbage.push(message);
      return [];
    }
    this.asked.push(asked);
    const answer = this.#find(asked.name.toLowerCase());
    if (answer === undefined) return [response(message, { rcode: rcodes.NXDOMAIN })];
    const said = await answer(asked);
    return said === null ? [] : Buffer.isBuffer(said) ? [said] : said;
  }

  async #answerDatagram(
    socket: UdpSocket,
    at: string,
    message: Buffer,
    { port, address }: RemoteInfo,
  ): Promise<void> {
    for (const reply of await this.#reply(message, "udp", at))
      socket.send(reply, port, address, () => undefined);
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#connections.delete(socket));
    const at = (socket.address() as AddressInfo).address.replace(/^::ffff:/, "");
    let pending = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const message = pending.subarray(2, 2 + pending.readUInt16BE(0));
        pending = pending.subarray(2 + message.length);
        void this.#reply(message, "tcp", at).then((replies) => {
          for (const reply of replies) {
            const length = Buffer.alloc(2);
            length.writeUInt16BE(reply.length);
            socket.write(Buffer.concat([length, reply]));
          }
        });
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#udp) socket.close();
    for (const connection of this.#connections) connection.destroy();
    this.#tcp.close();
    await once(this.#tcp, "close");
  }
}

/** The names that every test may use. */
export function addUsualNames(resolver: Resolver): void {
  resolver.host("example.com", places.host4, places.host6);
  resolver.host("*.example.com", places.host4, places.host6);
  resolver.host("v4.example.com", places.host4);
  resolver.host("v6.example.com", places.host6);
  resolver.host("other.test", places.other4, places.other6);
  resolver.host("private.test", places.private4);
}
