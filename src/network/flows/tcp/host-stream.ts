import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { takeReads } from "../../../host/system/shared-read-buffer.ts";

/** A socket of the host that is read by {@link takeReads}, as a stream that whoever reads what passes can have. */
export class HostStream extends Duplex {
  readonly #socket: Socket;
  readonly #take = (bytes: Buffer): void => {
    if (!this.push(Buffer.from(bytes))) this.#socket.pause();
  };
  readonly #ended = (): void => void this.push(null);
  readonly #failed = (error: Error): void => void this.destroy(error);
  readonly #closed = (): void => void this.destroy();

  /**
   * @param socket connected, with half-open ends allowed, and paused
   * @param early what was read of it already
   */
  constructor(socket: Socket, early: Uint8Array | null = null) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    if (early !== null && early.length > 0) this.push(Buffer.from(early));
    takeReads(socket, this.#take);
    socket.on("end", this.#ended).on("error", this.#failed).on("close", this.#closed);
  }

  /**
   * Gives the socket to somebody else, when nothing was read or written here yet and it has not ended.
   *
   * @returns null when it has: the stream stays what it is
   */
  release(): { readonly socket: Socket; readonly early: Buffer } | null {
    const socket = this.#socket;
    if (this.destroyed || socket.destroyed || socket.readableEnded) return null;
    socket.pause();
    socket.off("data", this.#take);
    socket.off("end", this.#ended).off("error", this.#failed).off("close", this.#closed);
    return { socket, early: (this.read() as Buffer | null) ?? Buffer.alloc(0) };
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#socket.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (this.writableFinished && this.readableEnded) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
    callback(error);
  }
}
