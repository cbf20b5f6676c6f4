/** What a connection sends, and when: RFC 9293, 3.8 and 3.10.8. */
import { dispose, possibleEdge, wakeAt, worthwhileStep, type ControlBlock } from "./control-block.ts";
import { emit, emitSyn, noPayload } from "./segment/emit.ts";
import { flag } from "./segment/segment.ts";

/** In ms. A server beside us has often answered by then, and its answer carries the acknowledgment. */
const acknowledgmentDelay = 10;

/** In bytes: see {@link isTailOfMuch}. */
const much = 128 * 1024;

/** How often in vain before it is given up: about 5 minutes, and one minute for a handshake. RFC 9293, 3.8.3, asks for 100 s. */
const mostAttempts = 10;
const mostSynAttempts = 6;

/** In ms: RFC 5961, 7, asks for a limit to acknowledgments that nobody asked for. */
const challengeInterval = 100;

/**
 * Sends everything that may be sent now: SYN, data, FIN, or an acknowledgment alone. Goes on later when the way to the guest is full.
 *
 * @param most segments with data, after which another connection has its turn
 */
export function transmit(block: ControlBlock, most = Infinity): void {
  const { sender } = block.shared;
  for (let sent = 0; ; sent++) {
    if (block.state === "closed") return;
    if (sender.isCongested || sent >= most) {
      block.shared.waitForDrain(block);
      return;
    }
    if (!sendSegment(block, false)) break;
  }
  if (block.owed === "now") acknowledge(block);
  if (block.retransmitAt === Infinity && block.inFlight === 0 && isWaitingForWindow(block))
    armRetransmit(block);
}

/** What came in the batch is answered. */
export function answerBatch(block: ControlBlock): void {
  if (block.owed === "soon") settleOwed(block);
  transmit(block);
  if (block.owed === "soon" && block.acknowledgeAt === Infinity) {
    block.acknowledgeAt = block.shared.clock.now() + acknowledgmentDelay;
    wakeAt(block, block.acknowledgeAt);
  }
}

/**
 * Of many segments every fourth is acknowledged at once (RFC 9293, 3.8.6.3, has every second; none is lost here, and each
 * acknowledgment costs the guest as much as a frame of data), and what ends with a PSH, because the guest may wait for it before it
 * goes on (RFC 896), unless our data usually come at once and carry it.
 */
function settleOwed(block: ControlBlock): void {
  const many = Math.min(4 * block.receiveSegment, block.receiveBuffer >> 2);
  const mayBeAll = block.isPushed || block.owedBytes < block.receiveSegment;
  if (block.owedBytes >= many || (mayBeAll && !block.isInteractive)) block.owed = "now";
}

function isWaitingForWindow(block: ControlBlock): boolean {
  return block.isSynchronized && (block.queue.unsent > 0 || (block.isEnding && !block.isFinSent));
}

/** @returns whether there was something */
function sendSegment(block: ControlBlock, force: boolean): boolean {
  if (!block.isSynchronized) {
    if (block.sendNext !== block.initialSequence) return false;
    block.sendNext = (block.sendNext + 1) | 0;
    sendSyn(block);
    noteSent(block);
    return true;
  }
  if (block.isFinSent) return false;
  const { queue } = block;
  const { unsent } = queue;
  const usable = (block.unacknowledged + block.sendWindow - block.sendNext) | 0;
  const fits = Math.max(0, Math.min(unsent, usable, block.maxSegment));
  const isWorthIt =
    (fits === unsent && !isTailOfMuch(block, fits)) ||
    fits === block.maxSegment ||
    fits * 2 >= block.largestWindow ||
    force;
  // The end needs room too.
  const endFits = block.isEnding && fits === unsent && usable > fits;
  if (!isWorthIt || (fits === 0 && !endFits)) return false;
  // It waited for a window until now, not for an acknowledgment.
  if (block.inFlight === 0) block.retransmitAt = Infinity;
  const payload = fits === 0 ? noPayload : queue.next(fits);
  const isLast = queue.unsent === 0;
  sendData(block, block.sendNext, payload, fits, isLast, isLast && endFits);
  return true;
}

/**
 * The end of what was written, which hardly ever is as long as a segment, while so much is on its way that the guest is about to
 * acknowledge some of it: by then more may have come, and one frame does for both. It does not wait for less, as Nagle's would (RFC 896).
 */
function isTailOfMuch(block: ControlBlock, bytes: number): boolean {
  return (
    bytes < block.maxSegment &&
    !block.isEnding &&
    block.inFlight >= much &&
    block.inFlight >= 2 * block.maxSegment
  );
}

function sendData(
  block: ControlBlock,
  sequence: number,
  payload: readonly Uint8Array[],
  bytes: number,
  isLast: boolean,
  hasFin: boolean,
): void {
  let flags: number = flag.ack;
  if (isLast && bytes > 0) flags |= flag.psh;
  if (hasFin) {
    flags |= flag.fin;
    if (!block.isFinSent) noteFin(block);
  }
  if (block.owed === "soon") block.isInteractive = true;
  const next = (sequence + bytes + (flags & flag.fin)) | 0;
  if (((next - block.sendNext) | 0) > 0) block.sendNext = next;
  const { sender } = block.shared;
  emit(sender, block, flags, sequence, block.receiveNext, windowField(block), payload);
  noteSent(block);
}

function noteFin(block: ControlBlock): void {
  block.isFinSent = true;
  if (block.state === "established") block.state = "fin-wait-1";
  else if (block.state === "close-wait") block.state = "last-ack";
}

function noteSent(block: ControlBlock): void {
  block.owed = "nothing";
  block.owedBytes = 0;
  block.acknowledgeAt = Infinity;
  if (block.retransmitAt !== Infinity && block.timedAt !== Infinity) return;
  const now = block.shared.clock.now();
  if (block.timedAt === Infinity && block.attempts === 0 && !block.isRecovering) {
    block.timedAt = now;
    block.timedSequence = block.sendNext;
  }
  if (block.retransmitAt === Infinity) armRetransmit(block, now);
}

/** Begins to wait for an acknowledgment, or for a window. */
export function armRetransmit(block: ControlBlock, now = block.shared.clock.now()): void {
  block.retransmitAt = now + block.roundTrip.timeout;
  wakeAt(block, block.retransmitAt);
}

function sendSyn(block: ControlBlock): void {
  const { sender } = block.shared;
  const window = Math.min(block.receiveBuffer, 0xffff);
  const options = { maximumSegmentSize: block.receiveSegment, windowShift: block.receiveShift };
  const isAnswer = block.state === "syn-received";
  if (isAnswer) {
    block.receiveEdge = (block.receiveNext + window) | 0;
    emitSyn(sender, block, flag.ack, block.initialSequence, block.receiveNext, window, options);
  } else emitSyn(sender, block, 0, block.initialSequence, 0, window, options);
}

/** The window that is offered, as the header says it. Small steps wait: RFC 9293, 3.8.6.2.2. */
function windowField(block: ControlBlock): number {
  const possible = possibleEdge(block);
  if (((possible - block.receiveEdge) | 0) >= worthwhileStep(block)) block.receiveEdge = possible;
  return Math.min(block.receiveWindow >> (block.receiveShift ?? 0), 0xffff);
}

/** An acknowledgment alone. */
export function acknowledge(block: ControlBlock, atOnce = false): void {
  const { sender } = block.shared;
  if (sender.isCongested && !atOnce) {
    block.shared.waitForDrain(block);
    return;
  }
  emit(sender, block, flag.ack, block.sendNext, block.receiveNext, windowField(block), noPayload);
  block.owed = "nothing";
  block.owedBytes = 0;
  block.acknowledgeAt = Infinity;
}

/** One that nobody asked for (RFC 5961): tells an honest guest how things are, and an attacker nothing new. Not too often. */
export function challenge(block: ControlBlock): void {
  const now = block.shared.clock.now();
  if (now - block.challengedAt < challengeInterval) return;
  block.challengedAt = now;
  acknowledge(block);
}

/** The user has taken bytes: tells the guest when that makes a difference to it. */
export function offerWindow(block: ControlBlock): void {
  if (!block.isReceiving) return;
  const step = (possibleEdge(block) - block.receiveEdge) | 0;
  const isShort = block.receiveWindow < 2 * block.receiveSegment;
  if (step < (isShort ? worthwhileStep(block) : block.receiveBuffer >> 1)) return;
  block.owed = "now";
  block.shared.touch(block);
}

/** The first segment that is not acknowledged, once more. */
export function retransmit(block: ControlBlock): void {
  if (block.shared.sender.isCongested) return;
  block.timedAt = Infinity;
  if (!block.isSynchronized) {
    sendSyn(block);
    return;
  }
  const unacknowledged = block.inFlight - (block.isFinSent ? 1 : 0);
  if (unacknowledged <= 0) {
    sendData(block, block.unacknowledged, noPayload, 0, true, true);
    return;
  }
  const bytes = Math.min(unacknowledged, block.maxSegment);
  const isLast = bytes === unacknowledged && block.queue.unsent === 0;
  sendData(block, block.unacknowledged, block.queue.head(bytes), bytes, isLast, isLast && block.isFinSent);
}

/** A moment has come that the connection waited for. */
export function expire(block: ControlBlock, now: number): void {
  if (block.acknowledgeAt <= now) {
    // Our data did not come in time to carry it.
    block.isInteractive = false;
    block.acknowledgeAt = Infinity;
    block.owed = "now";
    transmit(block);
  }
  if (block.retransmitAt <= now) {
    block.retransmitAt = Infinity;
    tryAgain(block, now);
  }
  wakeAt(block, Math.min(block.retransmitAt, block.acknowledgeAt));
}

function tryAgain(block: ControlBlock, now: number): void {
  const isProbe = block.inFlight === 0;
  if (isProbe && !isWaitingForWindow(block)) return;
  // What waits on our side was not lost.
  if (block.shared.sender.isCongested) {
    armRetransmit(block, now);
    return;
  }
  if (++block.attempts > (block.isSynchronized ? mostAttempts : mostSynAttempts)) {
    giveUp(block);
    return;
  }
  if (isProbe) {
    // What fits, however little (RFC 9293, 3.8.6.2.1); else a segment that has to be answered, because it is behind the window.
    if (!sendSegment(block, true)) {
      const before = (block.unacknowledged - 1) | 0;
      emit(block.shared.sender, block, flag.ack, before, block.receiveNext, windowField(block), noPayload);
    }
  } else {
    block.isRecovering = true;
    block.recoverTo = block.sendNext;
    retransmit(block);
  }
  block.roundTrip.backOff();
  armRetransmit(block, now);
}

function giveUp(block: ControlBlock): void {
  sendReset(block);
  const { handler } = block;
  dispose(block, false);
  handler.closed("timeout");
}

/** Tells the guest that it is over. */
export function sendReset(block: ControlBlock): void {
  if (block.state === "syn-sent") return;
  emit(block.shared.sender, block, flag.rst | flag.ack, block.sendNext, block.receiveNext, 0, noPayload);
}
