import type { Socket } from "node:net";
import { takeReads } from "../../../host/system/shared-read-buffer.ts";
import type { TcpConnection, TcpHandler } from "../../tcp/connection.ts";
import type { Flow } from "../flow-log.ts";
import { bytesOf, Lane, type Piece, type Slabs } from "../slabs.ts";
import { Linger } from "./linger.ts";

type Reason = "closed" | "reset" | "timeout";

/**
 * Joins a connection of the guest with a socket of the host. Both may come later: what the guest sends before waits. Each direction ends
 * by itself; whoever breaks off breaks off both.
 *
 * Back-pressure: what the guest sends is used up only when the kernel of the host has taken it, so that no more of it waits here than the
 * connection's window; the socket is not read while as much waits for the guest as should, so that no more waits than the connection's
 * high-water mark and one read (256 KiB).
 */
export class Splice implements TcpHandler {
  readonly #toHostLane: Lane;
  readonly #toGuestLane: Lane;
  readonly #linger = new Linger(() => this.abort("timeout"));
  readonly #over: (reason: Reason) => void;
  #connection: TcpConnection | null = null;
  #socket: Socket | null = null;
  #flow: Flow | null = null;
  /** Of the guest, and not passed on: joined, however small the segments are that it comes in. */
  #waiting: Piece[] = [];
  /** Pieces that the socket has not passed on. As long as there are any, what comes waits here and not there, where each costs more. */
  #writing = 0;
  /** For the guest, and not acknowledged; from `#oldest` on. */
  #unread: Piece[] = [];
  #oldest = 0;
  /** Of what is not acknowledged, from the oldest on: said by ourselves. */
  #greeting = 0;
  /** Of the host's, before the guest could take anything. */
  #early: Buffer | null = null;
  #isFlushSet = false;
  #guestEnded = false;
  #hostEnded = false;
  #isConnectionOver = false;
  #isOver = false;

  /** @param over called once, when nothing is left of either side */
  constructor(slabs: Slabs, over: (reason: Reason) => void) {
    this.#toHostLane = new Lane(slabs);
    this.#toGuestLane = new Lane(slabs);
    this.#over = over;
  }

  /** Whom bytes are counted for. */
  set flow(flow: Flow) {
    this.#flow = flow;
  }

  set connection(connection: TcpConnection) {
    this.#connection = connection;
  }

  /** Whether the guest has broken off, or was. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * @param socket connected, with half-open ends allowed, paused, and to be read by {@link takeReads}
   * @param early what was read of it already
   */
  join(socket: Socket, early: Uint8Array | null = null): void {
    if (this.#isOver) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    socket.on("end", () => {
      this.#hostEnded = true;
      this.#connection?.end();
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      this.abort(error.code === "ETIMEDOUT" ? "timeout" : "reset"),
    );
    socket.on("close", () => {
      // Nobody ends it but both sides, or an error: that was told before.
      if (!this.#hostEnded || !this.#guestEnded) this.abort("reset");
      else if (this.#isConnectionOver) this.#finish("closed");
      // The guest has yet to take what was said last.
      else this.#linger.begin();
    });
    takeReads(socket, (bytes) => this.#toGuest(bytes));
    if (early !== null && early.length > 0) this.#early = Buffer.from(early);
    if (this.#connection?.isEstablished === true) this.established();
    this.#flush();
  }

  /** Says something to the guest before anything of the host. */
  greet(bytes: Uint8Array): void {
    this.#greeting += bytes.length;
    this.#write(bytes);
  }

  /** Breaks off both sides. */
  abort(reason: Reason): void {
    if (this.#isOver) return;
    if (!this.#isConnectionOver) this.#connection?.reset();
    this.#isConnectionOver = true;
    breakOff(this.#socket);
    this.#finish(reason);
  }

  // Of the guest.

  established(): void {
    const early = this.#early;
    this.#early = null;
    this.#socket?.resume();
    if (early !== null) this.#toGuest(early);
  }

  data(bytes: Buffer): void {
    if (this.#flow !== null) this.#flow.sent += bytes.length;
    const waiting = this.#waiting;
    this.#toHostLane.copy(bytes, waiting[waiting.length - 1], (piece) => waiting.push(piece));
    if (this.#isFlushSet || this.#writing > 0 || this.#socket === null) return;
    this.#isFlushSet = true;
    // All that came with the same read of the cable goes out as one.
    process.nextTick(() => this.#flush());
  }

  ended(): void {
    this.#guestEnded = true;
    this.#flush();
  }

  drained(): void {
    this.#socket?.resume();
  }

  acknowledged(bytes: number): void {
    this.#linger.progress();
    const greeting = Math.min(this.#greeting, bytes);
    this.#greeting -= greeting;
    if (this.#flow !== null) this.#flow.received += bytes - greeting;
    let left = bytes;
    while (left > 0) {
      const piece = this.#unread[this.#oldest];
      if (piece === undefined) return;
      const length = piece.end - piece.start;
      if (length > left) {
        this.#unread[this.#oldest] = { ...piece, start: piece.start + left };
        return;
      }
      left -= length;
      this.#toGuestLane.release(piece);
      this.#oldest++;
    }
    if (this.#oldest === this.#unread.length) {
      this.#unread.length = 0;
      this.#oldest = 0;
    } else if (this.#oldest > 256) {
      this.#unread = this.#unread.slice(this.#oldest);
      this.#oldest = 0;
    }
  }

  closed(how: Reason): void {
    this.#isConnectionOver = true;
    // In order on the guest's side: the socket may still have to pass on what it said last.
    if (how !== "closed" || this.#socket === null) this.abort(how);
    else if (this.#linger.isBegun) this.#finish("closed");
  }

  #toGuest(bytes: Buffer): void {
    if (this.#isOver) return;
    if (!this.#write(bytes)) this.#socket?.pause();
  }

  #write(bytes: Uint8Array): boolean {
    const connection = this.#connection;
    let takesMore = true;
    const push = (piece: Piece): void => {
      this.#unread.push(piece);
      takesMore = connection?.write(bytesOf(piece)) !== false;
    };
    this.#toGuestLane.copy(bytes, undefined, push, connection?.maxSegment);
    return takesMore;
  }

  #flush(): void {
    this.#isFlushSet = false;
    const socket = this.#socket;
    if (socket === null || this.#isOver || this.#writing > 0) return;
    const pieces = this.#waiting;
    this.#waiting = [];
    this.#writing = pieces.length;
    if (pieces.length > 1) socket.cork();
    for (const piece of pieces) {
      socket.write(bytesOf(piece), (error) => {
        // What a broken socket had not taken may still be read by a write that is under way.
        if (error) return;
        this.#toHostLane.release(piece);
        if (!this.#isConnectionOver) this.#connection?.consume(piece.end - piece.start);
        this.#writing--;
        if (this.#waiting.length > 0 || this.#guestEnded) this.#flush();
      });
    }
    if (pieces.length > 1) socket.uncork();
    if (this.#guestEnded && !socket.writableEnded) socket.end();
  }

  #finish(reason: Reason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#linger.end();
    // Its slabs are not used again: a frame or a write on its way may still read them.
    this.#waiting = [];
    this.#unread = [];
    this.#over(reason);
  }
}

function breakOff(socket: Socket | null): void {
  if (socket === null || socket.destroyed) return;
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
