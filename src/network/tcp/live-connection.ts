import { IpAddress } from "../../host/ip/address.ts";
import { arrive } from "./arrivals.ts";
import type { TcpConnection } from "./connection.ts";
import { dispose, sendLimit, type ControlBlock } from "./control-block.ts";
import type { Peer } from "./peers.ts";
import type { Segment } from "./segment/segment.ts";
import { offerWindow, sendReset } from "./transmit.ts";

/** A connection as its user holds it, over the state of the protocol. */
export class LiveConnection implements TcpConnection, Peer {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly remotePort: number;
  readonly guestPort: number;
  readonly block: ControlBlock;
  #remote: TcpConnection["remote"] | null = null;

  constructor(block: ControlBlock) {
    this.block = block;
    this.family = block.family;
    this.source = block.source;
    this.remotePort = block.remotePort;
    this.guestPort = block.guestPort;
  }

  get remote(): TcpConnection["remote"] {
    return (this.#remote ??= { address: IpAddress.of(this.source), port: this.remotePort });
  }

  get isEstablished(): boolean {
    return this.block.isSynchronized;
  }

  get maxSegment(): number {
    return this.block.maxSegment;
  }

  write(bytes: Uint8Array): boolean {
    const { block } = this;
    // What is written to a connection that the guest has just reset goes nowhere.
    if (block.state === "closed" || block.isEnding) return true;
    block.queue.push(bytes);
    block.shared.memory.queued += bytes.length;
    block.shared.touch(block);
    if (block.queue.cost < sendLimit(block)) return true;
    block.owesDrain = true;
    return false;
  }

  end(): void {
    const { block } = this;
    if (block.state === "closed" || block.isEnding) return;
    block.isEnding = true;
    block.shared.touch(block);
  }

  reset(): void {
    const { block } = this;
    if (block.state === "closed") return;
    sendReset(block);
    dispose(block, false);
  }

  consume(bytes: number): void {
    const { block } = this;
    if (block.state === "closed") return;
    const used = Math.min(bytes, block.unconsumed);
    block.unconsumed -= used;
    block.shared.memory.received -= used;
    offerWindow(block);
  }

  arrive(segment: Segment): boolean {
    arrive(this.block, segment);
    return true;
  }
}
