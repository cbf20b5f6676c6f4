/** What a segment does to a connection: RFC 9293, 3.10.7.3 and 3.10.7.4, with RFC 5961. */
import { dispose, leastBuffer, sendLimit, type ControlBlock } from "./control-block.ts";
import { emit, noPayload } from "./segment/emit.ts";
import { ReorderQueue } from "./segment/reorder-queue.ts";
import { flag, type Segment } from "./segment/segment.ts";
import { distance, isAfter } from "./segment/sequence.ts";
import { acknowledge, armRetransmit, challenge, retransmit } from "./transmit.ts";

/** Payloads that a peer asks for are not smaller than this: it would make us send a frame for each byte. */
const leastSegment = 128;

/** RFC 9293, 3.7.1: of a peer that does not say. */
const defaultSegment = { 4: 536, 6: 1220 } as const;

/** RFC 5681, 3.2. */
const duplicatesOfLoss = 3;

/** Takes what a SYN says. */
export function takeSyn(
  block: ControlBlock,
  segment: Pick<Segment, "sequence" | "maximumSegmentSize" | "windowShift">,
): void {
  const asked = segment.maximumSegmentSize === 0 ? defaultSegment[block.family] : segment.maximumSegmentSize;
  block.maxSegment = Math.min(block.maxSegment, Math.max(asked, leastSegment));
  block.peerInitialSequence = segment.sequence;
  block.receiveNext = block.receiveEdge = (segment.sequence + 1) | 0;
  // RFC 7323, 2.2: both or neither.
  if (segment.windowShift < 0) {
    block.receiveShift = null;
    block.receiveBuffer = Math.min(block.receiveBuffer, leastBuffer);
  } else block.sendShift = segment.windowShift;
}

/** Handles a segment of a connection that is not closed. What it leads to is sent when the batch ends. */
export function arrive(block: ControlBlock, segment: Segment): void {
  block.shared.touch(block);
  if (block.state === "syn-sent") {
    arriveInSynSent(block, segment);
    return;
  }
  const { receiveWindow: window } = block;
  const offset = distance(segment.sequence, block.receiveNext);
  if (segment.has(flag.rst)) {
    arriveReset(block, offset, window);
    return;
  }
  if (segment.has(flag.syn)) {
    // The SYN again: our answer was lost.
    if (
      block.state === "syn-received" &&
      segment.sequence === block.peerInitialSequence &&
      !segment.has(flag.ack)
    ) {
      retransmit(block);
      return;
    }
    challenge(block);
    return;
  }
  if (!segment.has(flag.ack)) return;
  const { length } = segment;
  const isAcceptable =
    length === 0 ? offset >= 0 && offset <= window : offset < window && offset + length > 0;
  if (!isAcceptable) {
    // RFC 9293, 3.8.6: what comes with bytes that a closed window has no room for counts all the same.
    if (offset === 0 && window === 0 && block.isSynchronized) takeAcknowledgment(block, segment);
    if (block.state === "closed") return;
    if (length > 0) acknowledge(block);
    else challenge(block);
    return;
  }
  if (block.state === "syn-received" && !finishHandshake(block, segment)) return;
  if (!takeAcknowledgment(block, segment) || isClosed(block)) return;
  if (length > 0) takePayload(block, segment, offset, window);
}

/** Handlers may close it at any time. */
function isClosed(block: ControlBlock): boolean {
  return block.state === "closed";
}

function stillReceives(block: ControlBlock): boolean {
  return block.isReceiving;
}

function arriveInSynSent(block: ControlBlock, segment: Segment): void {
  const hasAck = segment.has(flag.ack);
  if (hasAck && segment.acknowledgment !== block.sendNext) {
    if (!segment.has(flag.rst)) refuseSegment(block, segment);
    return;
  }
  if (segment.has(flag.rst)) {
    if (hasAck) close(block, "reset");
    return;
  }
  if (!segment.has(flag.syn)) return;
  takeSyn(block, segment);
  if (!hasAck) {
    // Both ends call each other: ours is sent once more, with an acknowledgment.
    block.state = "syn-received";
    retransmit(block);
    return;
  }
  block.receiveEdge = (block.receiveNext + Math.min(block.receiveBuffer, 0xffff)) | 0;
  establish(block, segment, segment.window);
  if (!isClosed(block)) block.owed = "now";
}

/** RFC 5961, 3.2: only the exact number ends it. */
function arriveReset(block: ControlBlock, offset: number, window: number): void {
  if (offset === 0) close(block, "reset");
  else if (offset > 0 && offset <= window) challenge(block);
}

function refuseSegment(block: ControlBlock, segment: Segment): void {
  if (block.shared.sender.isCongested) return;
  emit(block.shared.sender, block, flag.rst, segment.acknowledgment, 0, 0, noPayload);
}

function close(block: ControlBlock, how: "closed" | "reset", timeWait = false): void {
  const { handler } = block;
  // The last one, of its FIN, does not wait for anything.
  if (timeWait && block.owed !== "nothing") acknowledge(block, true);
  dispose(block, timeWait);
  handler.closed(how);
}

function finishHandshake(block: ControlBlock, segment: Segment): boolean {
  if (segment.acknowledgment !== block.sendNext) {
    refuseSegment(block, segment);
    return false;
  }
  establish(block, segment, segment.window << block.sendShift);
  return !isClosed(block);
}

function establish(block: ControlBlock, segment: Segment, window: number): void {
  const now = block.shared.clock.now();
  if (block.timedAt !== Infinity) block.roundTrip.sample(now - block.timedAt);
  block.timedAt = block.retransmitAt = Infinity;
  block.attempts = 0;
  block.isRecovering = false;
  block.unacknowledged = segment.acknowledgment;
  block.sendWindow = block.largestWindow = window;
  block.windowSequence = segment.sequence;
  block.state = "established";
  block.shared.handshakeOver(block);
  block.handler.established?.();
}

/** @returns false: what comes with it does not count either */
function takeAcknowledgment(block: ControlBlock, segment: Segment): boolean {
  const acknowledged = distance(segment.acknowledgment, block.unacknowledged);
  // RFC 5961, 5.2: neither of the future nor older than anything that can be on its way.
  if (acknowledged > block.inFlight || acknowledged < -block.largestWindow) {
    challenge(block);
    return false;
  }
  if (acknowledged < 0) return true;
  const wasClosed = block.sendWindow === 0;
  const windowBefore = block.sendWindow;
  takeWindow(block, segment);
  if (acknowledged > 0) takeProgress(block, acknowledged);
  else if (block.inFlight > 0) {
    const isDuplicate = segment.length === 0 && block.sendWindow === windowBefore && !wasClosed;
    if (isDuplicate) noteDuplicate(block);
    // It is there and has no room: that is not silence.
    if (block.sendWindow === 0) block.attempts = 0;
    else if (wasClosed && block.isRecovering) {
      block.roundTrip.restore();
      retransmit(block);
    }
  }
  if (block.inFlight === 0) {
    if (block.sendWindow === 0 || wasClosed) block.attempts = 0;
    if (wasClosed && block.sendWindow > 0) {
      block.retransmitAt = Infinity;
      block.roundTrip.restore();
    }
  }
  return true;
}

function takeWindow(block: ControlBlock, segment: Segment): void {
  const window = segment.window << block.sendShift;
  const newer = distance(segment.sequence, block.windowSequence);
  // As Linux has it (tcp_may_update_window): what acknowledges more is newer, whatever its number.
  const isNewer =
    newer > 0 ||
    isAfter(segment.acknowledgment, block.unacknowledged) ||
    (newer === 0 && (window > block.sendWindow || window === 0));
  if (!isNewer) return;
  block.sendWindow = window;
  if (block.sendWindow > block.largestWindow) block.largestWindow = block.sendWindow;
  block.windowSequence = segment.sequence;
}

function noteDuplicate(block: ControlBlock): void {
  if (++block.duplicates !== duplicatesOfLoss || block.isRecovering) return;
  block.isRecovering = true;
  block.recoverTo = block.sendNext;
  retransmit(block);
}

function takeProgress(block: ControlBlock, acknowledged: number): void {
  const { queue } = block;
  const bytes = Math.min(acknowledged, queue.length - queue.unsent);
  block.unacknowledged = (block.unacknowledged + acknowledged) | 0;
  block.shared.memory.queued -= bytes;
  queue.acknowledge(bytes);
  if (bytes > 0) block.handler.acknowledged(bytes);
  if (isClosed(block)) return;
  block.attempts = 0;
  block.duplicates = 0;
  const now = block.shared.clock.now();
  if (block.timedAt !== Infinity && !isAfter(block.timedSequence, block.unacknowledged)) {
    block.roundTrip.sample(now - block.timedAt);
    block.timedAt = Infinity;
  } else block.roundTrip.restore();
  block.retransmitAt = Infinity;
  if (block.isRecovering) {
    if (isAfter(block.recoverTo, block.unacknowledged)) retransmit(block);
    else block.isRecovering = false;
  }
  if (block.inFlight > 0) armRetransmit(block, now);
  else if (block.isFinSent) finAcknowledged(block);
  if (isClosed(block)) return;
  if (block.owesDrain && queue.cost * 2 <= sendLimit(block)) {
    block.owesDrain = false;
    block.handler.drained();
  }
}

function finAcknowledged(block: ControlBlock): void {
  if (block.state === "fin-wait-1") block.state = "fin-wait-2";
  else if (block.state === "closing") close(block, "closed", true);
  else if (block.state === "last-ack") close(block, "closed");
}

function takePayload(block: ControlBlock, segment: Segment, offset: number, window: number): void {
  if (!block.isReceiving) {
    // Behind its FIN, or that FIN once more: the acknowledgment was lost.
    acknowledge(block);
    return;
  }
  block.isPushed = segment.has(flag.psh);
  const from = segment.dataAt + Math.max(0, -offset);
  const room = segment.dataAt + window - offset;
  const until = Math.min(segment.end, room);
  const hasFin = segment.has(flag.fin) && room > segment.end;
  if (offset > 0) {
    keepForLater(block, segment, until, hasFin);
    return;
  }
  if (until > from) deliver(block, segment.buffer.subarray(from, until));
  const finAt = (segment.sequence + segment.end - segment.dataAt) | 0;
  if (hasFin && block.receiveNext === finAt) takeFin(block);
  if (block.reorder !== null) deliverKept(block);
}

/** Each one is answered at once: three in a row tell the guest what to send again (RFC 5681, 3.2). */
function keepForLater(block: ControlBlock, segment: Segment, until: number, hasFin: boolean): void {
  const { memory } = block.shared;
  const reorder = (block.reorder ??= new ReorderQueue());
  const before = reorder.bytes;
  if (until > segment.dataAt || hasFin) {
    const room = Math.min(block.receiveBuffer, before + Math.max(0, memory.limit - memory.received));
    reorder.add(segment.sequence, segment.buffer.subarray(segment.dataAt, until), hasFin, room);
  }
  memory.received += reorder.bytes - before;
  acknowledge(block);
}

function deliver(block: ControlBlock, bytes: Buffer): void {
  block.receiveNext = (block.receiveNext + bytes.length) | 0;
  block.unconsumed += bytes.length;
  block.shared.memory.received += bytes.length;
  block.owedBytes += bytes.length;
  if (block.owed === "nothing") block.owed = "soon";
  block.handler.data(bytes);
}

/** The gap is closed, at least the first one: RFC 5681, 4.2, wants that told at once. */
function deliverKept(block: ControlBlock): void {
  for (let { reorder } = block; reorder !== null; { reorder } = block) {
    const before = reorder.bytes;
    const held = reorder.take(block.receiveNext);
    block.shared.memory.received -= before - reorder.bytes;
    block.owed = "now";
    if (held === null) {
      if (reorder.isEmpty) block.reorder = null;
      return;
    }
    if (held.bytes.length > 0) deliver(block, held.bytes);
    if (held.isLast && stillReceives(block)) takeFin(block);
  }
}

function takeFin(block: ControlBlock): void {
  block.receiveNext = (block.receiveNext + 1) | 0;
  block.receiveEdge = block.receiveNext;
  block.owed = "now";
  block.shared.memory.received -= block.reorder?.bytes ?? 0;
  block.reorder = null;
  const { handler } = block;
  if (block.state === "established") {
    block.state = "close-wait";
    handler.ended();
  } else if (block.state === "fin-wait-1") {
    block.state = "closing";
    handler.ended();
  } else {
    handler.ended();
    if (isClosed(block)) return;
    close(block, "closed", true);
  }
}
