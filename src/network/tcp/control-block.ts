import type { IpSender } from "../ip/packet.ts";
import type { TcpHandler } from "./connection.ts";
import type { Clock, Deadlines, Waiting } from "./deadlines.ts";
import { RoundTrip } from "./round-trip.ts";
import { headersOf, type Ends } from "./segment/emit.ts";
import type { ReorderQueue } from "./segment/reorder-queue.ts";
import { SendQueue } from "./segment/send-queue.ts";

/** RFC 9293, 3.3.2. TIME-WAIT is an object of its own: it needs next to nothing of this. */
export type State =
  | "syn-sent"
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "close-wait"
  | "closing"
  | "last-ack"
  | "closed";

/** Memory of all connections together, in bytes. */
export interface SharedMemory {
  /** Given to the handlers and not used up, or out of order. */
  received: number;
  /** Written and not acknowledged. */
  queued: number;
  /** Of each. From half of it on, connections get no more than {@link leastBuffer}. */
  readonly limit: number;
}

/** What all connections have in common. */
export interface Shared {
  readonly sender: IpSender;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly memory: SharedMemory;
  /** Sends what is due when the batch ends: all that comes of one tick goes out together. */
  touch(block: ControlBlock): void;
  /** Sends what is due when QEMU has taken something. */
  waitForDrain(block: ControlBlock): void;
  /** The handshake is over, one way or the other. */
  handshakeOver(block: ControlBlock): void;
  /** It is gone: its ends are free. */
  removed(block: ControlBlock, timeWait: boolean): void;
}

/** What a connection may always have, in bytes: the largest window without scaling. */
export const leastBuffer = 65_535;

/** An acknowledgment that the guest waits for: not at all, with the next data or after a moment, when the batch ends. */
export type Owed = "nothing" | "soon" | "now";

/** How a connection stands: RFC 9293, 3.3.1 calls this the transmission control block. Its fields belong to the files beside this one. */
export class ControlBlock implements Ends, Waiting {
  readonly shared: Shared;
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly remotePort: number;
  readonly guestPort: number;
  handler: TcpHandler;
  state: State;

  /** ISS, SND.UNA and SND.NXT. */
  readonly initialSequence: number;
  unacknowledged: number;
  sendNext: number;
  /** SND.WND in bytes, and SND.WL1. */
  sendWindow = 0;
  windowSequence = 0;
  /** The largest the guest ever offered. */
  largestWindow = 0;
  /** Of the windows that the guest offers. */
  sendShift = 0;
  /** Most bytes in a segment to the guest. */
  maxSegment: number;
  readonly queue = new SendQueue();
  /** The user has ended this direction: a FIN follows the last byte. */
  isEnding = false;
  isFinSent = false;
  /** The user was told to wait. */
  owesDrain = false;

  /** IRS and RCV.NXT. */
  peerInitialSequence = 0;
  receiveNext = 0;
  /** Right edge of what was offered: never moves left. */
  receiveEdge = 0;
  /** null: no scaling. */
  receiveShift: number | null;
  /** Most bytes that the guest puts in a segment, as we said. */
  readonly receiveSegment: number;
  /** Largest window, in bytes. */
  receiveBuffer: number;
  readonly sendBuffer: number;
  /** Given to the handler and not used up. */
  unconsumed = 0;
  /** null while nothing came out of order. */
  reorder: ReorderQueue | null = null;

  owed: Owed = "nothing";
  /** Bytes that came and are not acknowledged. */
  owedBytes = 0;
  /** The last of them was the last that the guest had. */
  isPushed = false;
  /** Our data usually follow soon enough to carry the acknowledgment. */
  isInteractive = false;
  isTouched = false;

  readonly roundTrip = new RoundTrip();
  /** What is measured: when a segment was sent, and the number behind it. Infinity: nothing. */
  timedAt = Infinity;
  timedSequence = 0;
  /** When to send again or to probe, and when to acknowledge. Infinity: not at all. */
  retransmitAt = Infinity;
  acknowledgeAt = Infinity;
  deadline = Infinity;
  /** How often in a row we have sent in vain. */
  attempts = 0;
  duplicates = 0;
  /** Everything before it was sent before something was found to be lost (RFC 6582: "recover"). */
  recoverTo: number;
  isRecovering = false;
  /** When an unasked acknowledgment was last sent. */
  challengedAt = -Infinity;
  readonly #expired: (block: ControlBlock, now: number) => void;

  constructor(
    shared: Shared,
    ends: Ends,
    options: {
      readonly state: State;
      readonly handler: TcpHandler;
      readonly initialSequence: number;
      readonly receiveBuffer: number;
      readonly sendBuffer: number;
      readonly expired: (block: ControlBlock, now: number) => void;
    },
  ) {
    this.shared = shared;
    this.family = ends.family;
    this.source = ends.source;
    this.remotePort = ends.remotePort;
    this.guestPort = ends.guestPort;
    this.state = options.state;
    this.handler = options.handler;
    this.initialSequence = options.initialSequence;
    this.unacknowledged = this.sendNext = this.recoverTo = options.initialSequence;
    this.receiveBuffer = options.receiveBuffer;
    this.sendBuffer = options.sendBuffer;
    this.receiveShift = shiftFor(options.receiveBuffer);
    this.receiveSegment = this.maxSegment = shared.sender.mtu - headersOf(ends.family);
    this.#expired = options.expired;
  }

  expired(now: number): void {
    this.#expired(this, now);
  }

  /** The handshake is over, so data may be sent. */
  get isSynchronized(): boolean {
    return this.state !== "syn-sent" && this.state !== "syn-received" && this.state !== "closed";
  }

  /** The guest may still send. */
  get isReceiving(): boolean {
    return this.state === "established" || this.state === "fin-wait-1" || this.state === "fin-wait-2";
  }

  /** RCV.WND. */
  get receiveWindow(): number {
    return (this.receiveEdge - this.receiveNext) | 0;
  }

  /** Sequence numbers that wait for an acknowledgment. */
  get inFlight(): number {
    return (this.sendNext - this.unacknowledged) | 0;
  }
}

/** So that the largest window fits 16 bits (RFC 7323, 2.2). */
function shiftFor(bytes: number): number {
  return Math.max(0, Math.ceil(Math.log2((bytes + 1) / 65_536)));
}

/** Where the window could end now. */
export function possibleEdge(block: ControlBlock): number {
  const { memory } = block.shared;
  const isTight = memory.received * 2 > memory.limit;
  const capacity = isTight ? Math.min(leastBuffer, block.receiveBuffer) : block.receiveBuffer;
  return (block.receiveNext + Math.max(0, capacity - block.unconsumed)) | 0;
}

/** A step that the window's end is worth moving by: RFC 9293, 3.8.6.2.2. */
export function worthwhileStep(block: ControlBlock): number {
  return Math.min(block.receiveSegment, block.receiveBuffer >> 1);
}

/** As much as should wait to be sent. */
export function sendLimit(block: ControlBlock): number {
  const { memory } = block.shared;
  return memory.queued * 2 > memory.limit ? Math.min(leastBuffer, block.sendBuffer) : block.sendBuffer;
}

/** Calls back at `at`, unless it is earlier called for something else. */
export function wakeAt(block: ControlBlock, at: number): void {
  block.shared.deadlines.arm(block, at);
}

/** Ends it. Nobody is told. */
export function dispose(block: ControlBlock, timeWait: boolean): void {
  if (block.state === "closed") return;
  const { shared } = block;
  block.state = "closed";
  shared.memory.received -= block.unconsumed + (block.reorder?.bytes ?? 0);
  shared.memory.queued -= block.queue.length;
  block.unconsumed = 0;
  block.reorder = null;
  block.queue.clear();
  block.owed = "nothing";
  block.retransmitAt = block.acknowledgeAt = Infinity;
  shared.deadlines.forget(block);
  shared.removed(block, timeWait);
}
