import type { ControlBlock } from "./control-block.ts";
import type { Clock, Deadlines, Waiting } from "./deadlines.ts";
import type { IpSender } from "../ip/packet.ts";
import type { Peer } from "./peers.ts";
import { emit, noPayload, type Ends } from "./segment/emit.ts";
import { flag, type Segment } from "./segment/segment.ts";
import { isAfter } from "./segment/sequence.ts";

/**
 * In ms. The cable keeps nothing back, so no old segment can turn up in a new connection, which is what TIME-WAIT is long for. It is
 * here for a guest that lost our last acknowledgment: it sends its FIN again after 0.2, 0.6 and 1.4 s (Linux).
 */
const duration = 2000;
/** The oldest goes first. */
const mostWaiting = 2048;

/** A connection that has ended, when the guest may not know it yet: RFC 9293, 3.6.1. */
class TimeWait implements Peer {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly remotePort: number;
  readonly guestPort: number;
  readonly until: number;
  readonly #sequence: number;
  readonly #acknowledgment: number;
  readonly #list: TimeWaits;

  constructor(list: TimeWaits, block: ControlBlock, until: number) {
    this.family = block.family;
    this.source = block.source;
    this.remotePort = block.remotePort;
    this.guestPort = block.guestPort;
    this.until = until;
    this.#sequence = block.sendNext;
    this.#acknowledgment = block.receiveNext;
    this.#list = list;
  }

  arrive(segment: Segment): boolean {
    if (segment.has(flag.rst)) {
      if (segment.sequence === this.#acknowledgment) this.#list.remove(this);
      return true;
    }
    // RFC 9293, 3.10.7.4: a new connection of the same ends may begin behind the old one.
    const isNew = segment.has(flag.syn) && !segment.has(flag.ack);
    if (isNew && isAfter(segment.sequence, this.#acknowledgment)) {
      this.#list.remove(this);
      return false;
    }
    // An acknowledgment alone asks for nothing; answered, two ends in TIME-WAIT would go on for ever.
    if (segment.length > 0 && !this.#list.sender.isCongested)
      emit(this.#list.sender, this, flag.ack, this.#sequence, this.#acknowledgment, 0, noPayload);
    return true;
  }
}

export class TimeWaits implements Waiting {
  deadline = Infinity;
  readonly sender: IpSender;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #gone: (peer: Peer) => void;
  /** In the order in which they end. */
  readonly #waiting = new Set<TimeWait>();

  /** @param gone one is over: its ends are free */
  constructor(sender: IpSender, clock: Clock, deadlines: Deadlines, gone: (peer: Peer) => void) {
    this.sender = sender;
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#gone = gone;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(block: ControlBlock): Peer {
    const until = this.#clock.now() + duration;
    const added = new TimeWait(this, block, until);
    this.#waiting.add(added);
    for (const oldest of this.#waiting) {
      if (this.#waiting.size <= mostWaiting) break;
      this.remove(oldest);
    }
    this.#deadlines.arm(this, until);
    return added;
  }

  /** @returns whether it was one of these */
  release(ends: Ends): boolean {
    if (!(ends instanceof TimeWait)) return false;
    this.remove(ends);
    return true;
  }

  remove(peer: TimeWait): void {
    if (!this.#waiting.delete(peer)) return;
    this.#gone(peer);
    if (this.#waiting.size === 0) this.#deadlines.forget(this);
  }

  expired(now: number): void {
    for (const oldest of this.#waiting) {
      if (oldest.until > now) {
        this.#deadlines.arm(this, oldest.until);
        return;
      }
      this.remove(oldest);
    }
  }

  clear(): void {
    this.#waiting.clear();
  }
}
