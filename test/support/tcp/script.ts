import assert from "node:assert/strict";
import type { TcpConnection, TcpHandler, TcpRequest } from "../../../src/network/tcp/connection.ts";
import { TcpGate } from "../../../src/network/tcp/tcp-gate.ts";
import { KeptSegments, outside, packetOf, type SentSegment } from "./guest-segment.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** The guest has connected: both sides stand at 1. It scales its window by 7 bits. */
export const opened = `
  > S 0 win 65535 mss 1460 ws 7
  . accept
  < SA 0 ack 1 win 65535 mss 1460 ws 3
  > A 1 ack 1 win 512
  = established
`;

/** Where the guest's numbers begin: soon they wrap around. */
const guestBegins = -3000;
const guestPort = 40_000;
const serverPort = 80;

/** The byte at a place of a stream, in either direction. */
export function byteAt(place: number): number {
  return (place * 7 + (place >> 8)) & 0xff;
}

function bytesFrom(place: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let index = 0; index < count; index++) bytes[index] = byteAt(place + index);
  return bytes;
}

/**
 * Plays a script, one step a line, in the manner of packetdrill. Numbers of both sides are relative to their first ones.
 *
 *     > FLAGS SEQ(BYTES) [ack N] [win N] [mss N] [ws N] [..]   a segment of the guest; `..`: the batch goes on
 *     < FLAGS SEQ(BYTES) [ack N] [win N] [mss N] [ws N]        what we send next; what is not written is not compared
 *     . accept | refuse reset | refuse drop | connect | write N | end | reset | consume N | congest | drain | forget
 *     + MS                                                    time passes
 *     = established | data N | ended | drained | acked N | closed HOW | abandoned | state N  what comes of it next
 *
 * Whatever is sent or told and not in the script is an error, at the next `>`, `.`, `+` or the end.
 */
export class Script {
  readonly clock = new VirtualClock();
  readonly sender: KeptSegments;
  readonly gate: TcpGate;
  readonly #events: string[] = [];
  #requests: TcpRequest[] = [];
  #connection: TcpConnection | null = null;
  #ourFirst: number | null = null;
  #written = 0;
  #arrived = 0;
  /** Bytes that the user uses up as they come; else `consume` does. */
  autoConsume = true;
  #line = "";

  constructor(mtu: number, options: { maxHalfOpen?: number; memory?: number } = {}) {
    this.sender = new KeptSegments(mtu);
    this.gate = new TcpGate({
      sender: this.sender,
      clock: this.clock,
      isChecksumRight: () => true,
      afterBatch: () => undefined,
      request: (request) => {
        request.onAbandoned(() => this.#events.push("abandoned"));
        this.#requests.push(request);
      },
      ...options,
    });
  }

  get connection(): TcpConnection {
    assert.ok(this.#connection !== null, "there is a connection");
    return this.#connection;
  }

  play(script: string): this {
    for (const line of script.split("\n").map((text) => text.trim().replace(/\s*#.*$/, ""))) {
      if (line === "") continue;
      this.#line = line;
      const [kind = "", ...words] = line.split(/\s+/);
      if (kind !== "<" && kind !== "=") this.nothingMore();
      if (kind === ">") this.#fromGuest(words);
      else if (kind === "<") this.#toGuest(words);
      else if (kind === ".") this.#act(words);
      else if (kind === "+") this.clock.pass(Number(words[0]));
      else if (kind === "=") assert.equal(this.#events.shift(), words.join(" "), `at: ${line}`);
      else assert.fail(`unknown step: ${line}`);
    }
    this.#line = "the end";
    this.nothingMore();
    return this;
  }

  /** A first segment of the guest with any options, to any address. */
  raw(flags: string, options: Uint8Array, address = outside): void {
    this.gate.receive(
      packetOf({ from: guestPort, to: serverPort, flags, sequence: guestBegins, options, address }),
    );
    this.gate.batchEnd();
  }

  nothingMore(): void {
    const sent = this.sender.sent.map((segment) => this.#shown(segment));
    assert.deepEqual({ sent, events: this.#events }, { sent: [], events: [] }, `before: ${this.#line}`);
  }

  #fromGuest(words: readonly string[]): void {
    const { flags, sequence, bytes, named } = parts(words);
    const options: number[] = [];
    const size = named.get("mss");
    const shift = named.get("ws");
    if (size !== undefined) options.push(2, 4, size >> 8, size & 0xff);
    if (shift !== undefined) options.push(1, 3, 3, shift);
    const acknowledgment = named.get("ack");
    this.gate.receive(
      packetOf({
        from: guestPort,
        to: serverPort,
        flags,
        sequence: guestBegins + sequence,
        window: named.get("win") ?? 65_535,
        options: Uint8Array.from(options),
        data: bytesFrom(sequence - 1, bytes),
        ...(acknowledgment === undefined ? {} : { acknowledgment: (this.#ourFirst ?? 0) + acknowledgment }),
      }),
    );
    if (!words.includes("..")) this.gate.batchEnd();
  }

  #toGuest(words: readonly string[]): void {
    const { flags, sequence, bytes, named } = parts(words);
    const segment = this.sender.sent.shift();
    assert.ok(segment !== undefined, `nothing was sent at: ${this.#line}`);
    if (segment.flags.includes("S")) this.#ourFirst = segment.sequence;
    const actual = this.#parsed(segment);
    const expected = {
      flags: Array.from(flags).sort().join(""),
      sequence,
      bytes,
      ...Object.fromEntries(named),
    };
    const compared = Object.fromEntries(
      Object.entries(actual).filter(([name]) => name in expected || name === "flags"),
    );
    assert.deepEqual(compared, expected, `at: ${this.#line}, sent: ${this.#shown(segment)}`);
    if (bytes > 0)
      assert.ok(segment.data.equals(bytesFrom(sequence - 1, bytes)), `other bytes at: ${this.#line}`);
  }

  #parsed(segment: SentSegment): Record<string, number | string> {
    const { options } = segment;
    const first = this.#ourFirst ?? 0;
    // An RST that answers a segment takes its number from there.
    return {
      flags: Array.from(segment.flags).sort().join(""),
      sequence: (segment.sequence - first) | 0,
      bytes: segment.data.length,
      ack: (segment.acknowledgment - guestBegins) | 0,
      win: segment.window,
      ...(options.length >= 4 ? { mss: options.readUInt16BE(2) } : {}),
      ...(options.length >= 8 ? { ws: options.readUInt8(7) } : { ws: -1 }),
    };
  }

  #shown(segment: SentSegment): string {
    return Object.entries(this.#parsed(segment))
      .map(([name, value]) => `${name} ${value}`)
      .join(" ");
  }

  #act([verb = "", text = ""]: readonly string[]): void {
    const count = Number(text);
    if (verb === "accept") this.#connection = this.#request().accept(this.#handler());
    else if (verb === "refuse") this.#request().refuse(text === "drop" ? "drop" : "reset");
    else if (verb === "connect")
      this.#connection = this.gate.connect(
        { address: outside, port: serverPort },
        guestPort,
        this.#handler(),
      );
    else if (verb === "write") {
      if (!this.connection.write(bytesFrom(this.#written, count))) this.#events.push("full");
      this.#written += count;
    } else if (verb === "end") this.connection.end();
    else if (verb === "reset") this.connection.reset();
    else if (verb === "consume") this.connection.consume(count);
    else if (verb === "congest") this.sender.isCongested = true;
    else if (verb === "drain") this.sender.drain();
    else if (verb === "forget") {
      this.#written = this.#arrived = 0;
    } else assert.fail(`unknown step: ${this.#line}`);
    this.gate.batchEnd();
  }

  #request(): TcpRequest {
    const request = this.#requests.shift();
    assert.ok(request !== undefined, `no request at: ${this.#line}`);
    return request;
  }

  #handler(): TcpHandler {
    return {
      established: () => void this.#events.push("established"),
      data: (bytes) => {
        assert.ok(bytes.equals(bytesFrom(this.#arrived, bytes.length)), `other bytes at: ${this.#line}`);
        this.#arrived += bytes.length;
        this.#events.push(`data ${bytes.length}`);
        if (this.autoConsume) this.#connection?.consume(bytes.length);
      },
      ended: () => void this.#events.push("ended"),
      drained: () => void this.#events.push("drained"),
      acknowledged: (bytes) => void this.#events.push(`acked ${bytes}`),
      closed: (how) => void this.#events.push(`closed ${how}`),
    };
  }
}

interface Parts {
  readonly flags: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly named: ReadonlyMap<string, number>;
}

function parts([flags = "", place = "0", ...rest]: readonly string[]): Parts {
  const match = /^(-?\d+)(?:\((\d+)\))?$/.exec(place);
  assert.ok(match !== null, `not a place: ${place}`);
  const named = new Map<string, number>();
  const words = rest.filter((word) => word !== "..");
  for (let at = 0; at < words.length; at += 2) named.set(words[at] ?? "", Number(words[at + 1]));
  return { flags, sequence: Number(match[1]), bytes: Number(match[2] ?? 0), named };
}
