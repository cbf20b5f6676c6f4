import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { GuestInterface } from "../../../src/network/ip/guest-interface.ts";
import { protocolNumbers, type IpPacket } from "../../../src/network/ip/packet.ts";
import type { TcpConnection } from "../../../src/network/tcp/connection.ts";
import { TcpGate } from "../../../src/network/tcp/tcp-gate.ts";
import { KeptSegments, outside, packetOf } from "./guest-segment.ts";
import { KernelGuest } from "./kernel-guest.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A segment for a server on port 80, with absolute numbers. */
export interface ScriptedSegment {
  readonly port: number;
  readonly flags: string;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly window: number;
  readonly data: Uint8Array;
}

export type UserAction =
  { readonly action: "read" | "end" | "drop" } | { readonly action: "write"; readonly count: number };

/** How a server's connection stands after a step. */
export interface Standing {
  /** What the user has read since the last step. */
  readonly data: Buffer;
  readonly state: string;
}

/** A TCP that is talked to segment by segment, and whose server's user can be told what to do. */
export interface ScriptedStack extends AsyncDisposable {
  send(segment: ScriptedSegment): Promise<void>;
  user(port: number, action: UserAction): Promise<Standing>;
  /** Number of its SYN to this port. */
  firstSequence(port: number): number | undefined;
}

const flagBits = "FSRPAU";

function headerOf(segment: ScriptedSegment): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(segment.port, 0);
  header.writeUInt16BE(80, 2);
  header.writeInt32BE(segment.sequence | 0, 4);
  header.writeInt32BE(segment.acknowledgment | 0, 8);
  header[12] = 5 << 4;
  header[13] = Array.from(segment.flags).reduce((sum, letter) => sum | (1 << flagBits.indexOf(letter)), 0);
  header.writeUInt16BE(segment.window, 14);
  return header;
}

/** The kernel's, in a namespace. A peer outside talks to a server in the guest. */
export class KernelStack implements ScriptedStack {
  readonly #guest: KernelGuest;
  readonly #interface: GuestInterface;
  readonly #firsts = new Map<number, number>();
  readonly #input: Writable;
  readonly #answers: AsyncIterator<string>;
  readonly #server: ReturnType<KernelGuest["spawn"]>;
  #echoes = 0;
  #echoed: (() => void) | null = null;

  private constructor(guest: KernelGuest, side: GuestInterface, server: ReturnType<KernelGuest["spawn"]>) {
    this.#guest = guest;
    this.#interface = side;
    this.#server = server;
    this.#input = server.stdin as Writable;
    this.#answers = createInterface(server.stdout as Readable)[Symbol.asyncIterator]();
    side.on(protocolNumbers.tcp, (packet) => this.#took(packet));
    side.on(protocolNumbers.icmpv4, ({ buffer, payloadAt }) => {
      if (buffer[payloadAt] === 0 && buffer.readUInt16BE(payloadAt + 6) === (this.#echoes & 0xffff))
        this.#echoed?.();
    });
    side.start();
  }

  static async start(): Promise<KernelStack> {
    const guest = await KernelGuest.start(1500);
    const side = guest.plugIn();
    const server = guest.spawn("python3", [`${import.meta.dirname}/kernel-server.py`]);
    server.stderr?.pipe(process.stderr);
    const stack = new KernelStack(guest, side, server);
    assert.equal((await stack.#answers.next()).value, "ready");
    return stack;
  }

  async send(segment: ScriptedSegment): Promise<void> {
    this.#interface.sender.send({
      family: 4,
      source: outside.bytes,
      protocol: protocolNumbers.tcp,
      header: headerOf(segment),
      checksumAt: 16,
      pseudoHeader: true,
      payload: [segment.data],
    });
    await this.#settled();
  }

  async user(port: number, action: UserAction): Promise<Standing> {
    const count = action.action === "write" ? ` ${action.count}` : "";
    this.#input.write(`${action.action} ${port}${count}\n`);
    const [hex = "", state = ""] = String((await this.#answers.next()).value).split(" ");
    return { data: Buffer.from(hex === "-" ? "" : hex, "hex"), state };
  }

  firstSequence(port: number): number | undefined {
    return this.#firsts.get(port);
  }

  /** An echo comes back behind everything that the kernel had to say to what came before. */
  async #settled(): Promise<void> {
    const header = Buffer.alloc(8);
    header[0] = 8;
    header.writeUInt16BE(++this.#echoes & 0xffff, 6);
    const answered = new Promise<void>((resolve) => (this.#echoed = resolve));
    this.#interface.sender.send({
      family: 4,
      source: outside.bytes,
      protocol: protocolNumbers.icmpv4,
      header,
      checksumAt: 2,
      pseudoHeader: false,
      payload: [],
    });
    await answered;
  }

  #took({ buffer, payloadAt }: IpPacket): void {
    if (((buffer[payloadAt + 13] ?? 0) & 2) === 0) return;
    this.#firsts.set(buffer.readUInt16BE(payloadAt + 2), buffer.readInt32BE(payloadAt + 4));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill("SIGKILL");
    await once(this.#server, "close");
    this.#interface.close();
    await this.#guest[Symbol.asyncDispose]();
  }
}

interface OurConnection {
  connection: TcpConnection;
  data: Buffer[];
  state: string;
}

/** Ours: the guest talks to a server outside. */
export class OurStack implements ScriptedStack {
  readonly #sender = new KeptSegments(1500);
  readonly #connections = new Map<number, OurConnection>();
  readonly #firsts = new Map<number, number>();
  readonly #gate = new TcpGate({
    sender: this.#sender,
    clock: new VirtualClock(),
    afterBatch: () => undefined,
    isChecksumRight: () => true,
    request: (request) => {
      if (this.#connections.has(request.guestPort)) {
        request.refuse("drop");
        return;
      }
      const state: OurConnection = { connection: null as never, data: [], state: "none" };
      this.#connections.set(request.guestPort, state);
      state.connection = request.accept({
        established: () => (state.state = "open"),
        data: (bytes) => {
          state.data.push(Buffer.from(bytes));
          state.connection.consume(bytes.length);
        },
        ended: () => (state.state = "eof"),
        drained: () => undefined,
        acknowledged: () => undefined,
        closed: (how) => {
          // The kernel tells no more after the end.
          if (how !== "closed" && state.state === "open") state.state = how;
        },
      });
    },
  });

  send(segment: ScriptedSegment): Promise<void> {
    this.#gate.receive(packetOf({ ...segment, from: segment.port, to: 80 }));
    this.#gate.batchEnd();
    for (const { flags, sequence, to } of this.#sender.take())
      if (flags.includes("S")) this.#firsts.set(to, sequence);
    return Promise.resolve();
  }

  user(port: number, action: UserAction): Promise<Standing> {
    const connection = this.#connections.get(port);
    if (connection === undefined) return Promise.resolve({ data: Buffer.alloc(0), state: "none" });
    const isOpen = connection.state !== "none";
    if (action.action === "write" && isOpen) connection.connection.write(Buffer.alloc(action.count));
    if (action.action === "end" && isOpen) connection.connection.end();
    if (action.action === "drop") connection.connection.reset();
    this.#gate.batchEnd();
    this.#sender.take();
    return Promise.resolve({ data: Buffer.concat(connection.data.splice(0)), state: connection.state });
  }

  firstSequence(port: number): number | undefined {
    return this.#firsts.get(port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#gate.close();
    return Promise.resolve();
  }
}
