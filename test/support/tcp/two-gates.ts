import assert from "node:assert/strict";
import type { IpPacket, IpSender, OutgoingPacket } from "../../../src/network/ip/packet.ts";
import type { TcpConnection, TcpHandler } from "../../../src/network/tcp/connection.ts";
import { TcpGate } from "../../../src/network/tcp/tcp-gate.ts";
import type { Random } from "../fuzz.ts";
import { outside } from "./guest-segment.ts";
import { byteAt } from "./script.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** What a cable does to frames; shares are of 100. */
export interface Weather {
  readonly lost: number;
  readonly doubled: number;
  /** In ms, at most; more than between two frames lets one overtake another. */
  readonly delay: number;
  /** A frame is now and then not taken at once. */
  readonly congested: number;
}

/** One direction of a cable between two gates, each of which is the other's guest. */
class Cable implements IpSender {
  readonly mtu: number;
  isCongested = false;
  frames = 0;
  target: TcpGate | null = null;
  readonly #random: Random;
  readonly #clock: VirtualClock;
  readonly #weather: Weather;
  #drain: () => void = () => undefined;

  constructor(mtu: number, random: Random, clock: VirtualClock, weather: Weather) {
    this.mtu = mtu;
    this.#random = random;
    this.#clock = clock;
    this.#weather = weather;
  }

  onDrain(callback: () => void): void {
    this.#drain = callback;
  }

  send(packet: OutgoingPacket): void {
    this.frames++;
    const turned = turnedAround(packet);
    assert.ok(turned.end <= this.mtu, "no packet is larger than the MTU");
    const random = this.#random;
    if (random(100) < this.#weather.congested && !this.isCongested) {
      this.isCongested = true;
      this.#clock.schedule(1 + random(5), () => {
        this.isCongested = false;
        this.#drain();
      });
    }
    if (random(100) < this.#weather.lost) return;
    const copies = random(100) < this.#weather.doubled ? 2 : 1;
    for (let copy = 0; copy < copies; copy++)
      this.#clock.schedule(1 + random(this.#weather.delay), () => {
        this.target?.receive(turned);
      });
  }
}

function turnedAround(packet: OutgoingPacket): IpPacket {
  const buffer = Buffer.concat([Buffer.alloc(16), packet.source, packet.header, ...packet.payload]);
  return {
    family: 4,
    buffer,
    at: 0,
    sourceAt: 12,
    destinationAt: 16,
    protocol: 6,
    hopLimit: 64,
    payloadAt: 20,
    end: buffer.length,
  };
}

/** A user of one end: sends so many bytes in pieces of all sizes, takes what comes as slowly as it likes, and ends. */
export class User implements TcpHandler {
  connection: TcpConnection | null = null;
  how: string | null = null;
  hasEnded = false;
  received = 0;
  acknowledgedBytes = 0;
  written = 0;
  readonly #total: number;
  readonly #random: Random;
  readonly #clock: VirtualClock;
  #held = 0;
  #mayWrite = true;
  isDone = false;

  constructor(total: number, random: Random, clock: VirtualClock) {
    this.#total = total;
    this.#random = random;
    this.#clock = clock;
  }

  act(): void {
    const { connection } = this;
    if (connection === null || this.how !== null) return;
    const random = this.#random;
    if (this.#held > 0) {
      const taken = random(4) === 0 ? this.#held : random(this.#held + 1);
      this.#held -= taken;
      connection.consume(taken);
    }
    const left = this.#total - this.written;
    if (left > 0 && this.#mayWrite) {
      const bytes = Buffer.alloc(Math.min(left, 1 + random(random(2) === 0 ? 40 : 30_000)));
      for (let at = 0; at < bytes.length; at++) bytes[at] = byteAt(this.written + at);
      this.written += bytes.length;
      this.#mayWrite = connection.write(bytes);
    } else if (left === 0 && !this.isDone) {
      this.isDone = true;
      connection.end();
    }
    if (!this.isDone || this.#held > 0) this.later();
  }

  /** Goes on at some time. */
  later(): void {
    this.#clock.schedule(this.#random(30), () => this.act());
  }

  established(): void {
    this.later();
  }

  data(bytes: Buffer): void {
    for (const byte of bytes) assert.equal(byte, byteAt(this.received++));
    if (this.#held === 0 && this.isDone) this.later();
    this.#held += bytes.length;
  }

  ended(): void {
    assert.equal(this.hasEnded, false);
    this.hasEnded = true;
  }

  drained(): void {
    this.#mayWrite = true;
  }

  acknowledged(bytes: number): void {
    this.acknowledgedBytes += bytes;
  }

  closed(how: string): void {
    assert.equal(this.how, null);
    this.how = how;
  }
}

/** Two gates on one cable. */
export class TwoGates {
  readonly clock: VirtualClock;
  readonly there: TcpGate;
  readonly here: TcpGate;
  readonly frames: () => number;
  request: (request: Parameters<ConstructorParameters<typeof TcpGate>[0]["request"]>[0]) => void = () =>
    undefined;

  constructor(clock: VirtualClock, random: Random, weather: Weather, mtu: number, memory?: number) {
    this.clock = clock;
    const out = new Cable(mtu, random, clock, weather);
    const back = new Cable(mtu, random, clock, weather);
    const common = {
      clock,
      isChecksumRight: () => true,
      afterBatch: (callback: () => void) => void clock.schedule(0, callback),
      ...(memory === undefined ? {} : { memory }),
    };
    this.here = new TcpGate({ ...common, sender: out, request: () => assert.fail("nobody calls here") });
    this.there = new TcpGate({ ...common, sender: back, request: (request) => this.request(request) });
    out.target = this.there;
    back.target = this.here;
    this.frames = () => out.frames + back.frames;
  }

  connect(user: User, port: number): void {
    user.connection = this.here.connect({ address: outside, port: 0 }, port, user);
  }
}
