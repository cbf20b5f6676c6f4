import assert from "node:assert/strict";
import { duplexPair, type Duplex } from "node:stream";
import { IpAddress } from "../../../src/host/ip/address.ts";
import type { LinkAddresses } from "../../../src/config/network/link-addresses.ts";
import type { NetworkRateLimiterConfig } from "../../../src/config/network/network-type.ts";
import { GuestInterface } from "../../../src/network/ip/guest-interface.ts";
import type { IpPacket } from "../../../src/network/ip/packet.ts";
import { FrameLink } from "../../../src/network/link/frame-link.ts";
import {
  address,
  arp,
  broadcastMac,
  ethernet,
  gateway4,
  gateway6,
  gatewayMac,
  guest4,
  guest6,
  guestMac,
  prefixed,
} from "./frames.ts";

export function linkAddresses(change: Partial<LinkAddresses> = {}): LinkAddresses {
  return {
    guestMac,
    gatewayMac,
    ipv4: { guest: IpAddress.of(guest4), gateway: IpAddress.of(gateway4), prefix: 30 },
    ipv6: { guest: IpAddress.of(guest6), gateway: IpAddress.of(gateway6), prefix: 64 },
    mtu: 65_520,
    ...change,
  };
}

/** Asked for by ARP after everything else. */
const lastQuestion = address("192.0.2.99");

export interface GuestEndOptions {
  readonly addresses?: Partial<LinkAddresses>;
  readonly rateLimiter?: NetworkRateLimiterConfig;
  readonly answersEcho?: (packet: IpPacket) => boolean;
  /** Both ends of a cable; else one in memory. */
  readonly cable?: readonly [gateway: Duplex, guest: Duplex];
}

/** Frames that come out of a cable. */
export class FrameCollector {
  readonly frames: Buffer[] = [];
  /** Of a frame that has not all come. */
  readonly #parts: Buffer[] = [];
  #partBytes = 0;
  /** So many bytes make the next frame, or tell how many do. */
  #neededBytes = 4;
  #wanted: (() => void) | null = null;

  constructor(stream: Duplex) {
    stream.on("data", (chunk: Buffer) => {
      this.#parts.push(chunk);
      this.#partBytes += chunk.length;
      if (this.#partBytes >= this.#neededBytes) this.#take();
    });
  }

  #take(): void {
    let rest = Buffer.concat(this.#parts.splice(0));
    for (;;) {
      this.#neededBytes = rest.length < 4 ? 4 : 4 + rest.readUInt32BE();
      if (rest.length < this.#neededBytes) break;
      this.frames.push(rest.subarray(4, this.#neededBytes));
      rest = rest.subarray(this.#neededBytes);
    }
    this.#parts.push(rest);
    this.#partBytes = rest.length;
    this.#wanted?.();
  }

  /** Waits until there are so many, or one of a kind. */
  async until(isEnough: (frames: readonly Buffer[]) => boolean): Promise<void> {
    while (!isEnough(this.frames)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wanted = resolve;
      await promise;
    }
  }
}

/** A guest that is only the end of a cable, and the gateway's interface at the other end. */
export class GuestEnd implements Disposable {
  readonly link: FrameLink;
  readonly interface: GuestInterface;
  readonly cable: Duplex;
  readonly collector: FrameCollector;
  readonly faults: unknown[] = [];
  #sent = 0;

  constructor({ addresses = {}, rateLimiter, answersEcho, cable = duplexPair() }: GuestEndOptions = {}) {
    this.cable = cable[1];
    this.collector = new FrameCollector(cable[1]);
    this.link = new FrameLink({
      stream: cable[0],
      rateLimiter: rateLimiter ?? null,
      failed: (error) => this.faults.push(error),
      closed: () => undefined,
    });
    this.interface = new GuestInterface({
      link: this.link,
      addresses: linkAddresses(addresses),
      answersEcho: answersEcho ?? ((): boolean => true),
    });
    this.interface.start();
  }

  send(...frames: readonly Uint8Array[]): void {
    this.#sent += frames.length;
    this.cable.write(prefixed(...frames));
  }

  /**
   * Sends frames and a question that is always answered: what came before that answer came for the frames.
   *
   * @returns it, without the answer
   */
  async ask(...frames: readonly Uint8Array[]): Promise<Buffer[]> {
    const own = arp(1, [guestMac, guest4], [Buffer.alloc(6), lastQuestion]);
    this.send(...frames, ethernet(0x0806, own, { destination: broadcastMac }));
    const before = this.collector.frames.length;
    const isAnswer = (frame: Buffer): boolean =>
      frame.readUInt16BE(12) === 0x0806 && frame.subarray(28, 32).equals(lastQuestion);
    await this.collector.until((all) => all.slice(before).some(isAnswer));
    const all = this.collector.frames.splice(0);
    const at = all.findIndex(isAnswer);
    assert.equal(at, all.length - 1);
    assert.deepEqual(this.faults, []);
    this.checkCounts();
    return all.slice(0, at);
  }

  /** Every frame was counted, once. */
  checkCounts(): void {
    const { tooShort, tooLong } = this.link.dropped;
    const handled = Object.values(this.interface.outcomes).reduce((sum, count) => sum + count, 0);
    assert.equal(handled, this.link.fromGuest.frames);
    assert.equal(handled + tooShort + tooLong, this.#sent);
  }

  [Symbol.dispose](): void {
    this.interface.close();
    this.cable.destroy();
  }
}
