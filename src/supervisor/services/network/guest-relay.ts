import type { Duplex } from "node:stream";
import { MicrosandboxError, RuntimeError } from "../../../errors/index.ts";
import { FrameKind, type DataKind } from "../../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../../protocol/generated/limits.ts";
import type { Message } from "../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../protocol/stream.ts";
import { violation } from "../../../protocol/violation.ts";

/** Where connections to the guest are made. */
export interface GuestDoor {
  /** @throws RuntimeError when the guest refuses it or does not answer; aborted with the signal */
  connect(guestPort: number, signal: AbortSignal): Promise<Duplex>;
}

/**
 * A TCP connection between a client and a port of the guest. It holds what one direction's credit allows on the way to the guest, and
 * nothing but the socket's own buffer on the way back: the guest is not read from while the client takes nothing.
 */
export class GuestRelay implements StreamHandler {
  readonly #stream: Stream;
  readonly #giveUp = new AbortController();
  #socket: Duplex | null = null;
  #over = false;
  /** The client takes no more: what the guest sends is dropped. */
  #deaf = false;

  constructor(door: GuestDoor, port: number, stream: Stream) {
    this.#stream = stream;
    void this.#connect(door, port);
  }

  message({ type }: Message): void {
    throw violation(`not of this service: ${type} on a connection to the guest`);
  }

  data(_kind: DataKind, payload: Buffer): void {
    const { length } = payload;
    if (this.#socket === null) throw violation("data before the guest has accepted the connection");
    if (this.#socket.writable) this.#socket.write(Buffer.from(payload), () => this.#consume(length));
    else this.#consume(length);
  }

  credit(): void {
    this.#pump();
  }

  ended(): void {
    if (this.#socket === null) throw violation("an end before the guest has accepted the connection");
    this.#socket.end();
  }

  stopSending(): void {
    this.#deaf = true;
    this.#pump();
  }

  aborted(): void {
    this.#abandon();
  }

  lost(): void {
    this.#abandon();
  }

  async #connect(door: GuestDoor, port: number): Promise<void> {
    try {
      const socket = await door.connect(port, this.#giveUp.signal);
      if (this.#over) {
        socket.destroy();
        return;
      }
      this.#socket = socket;
      this.#stream.send({ type: "GuestConnected" });
      this.#relay(socket);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #relay(socket: Duplex): void {
    socket.on("readable", () => {
      this.#pump();
    });
    socket.on("end", () => {
      this.#stream.end();
    });
    socket.on("error", (error) => {
      this.#fail(error);
    });
    socket.on("close", () => {
      if (this.#over) return;
      const inOrder = socket.readableEnded && socket.writableFinished;
      if (!inOrder) this.#fail(new RuntimeError("the guest has reset the connection"));
      else {
        this.#over = true;
        this.#stream.send({ type: "GuestDisconnected" });
      }
    });
    this.#pump();
  }

  /** Sends what the guest has sent, as far as the client takes it. */
  #pump(): void {
    const socket = this.#socket;
    while (socket !== null && !this.#over) {
      const most = this.#deaf ? MAX_DATA_PAYLOAD : Math.min(this.#stream.credit, MAX_DATA_PAYLOAD);
      if (most === 0) return;
      // read(n) gives less than n only at the end.
      const chunk = socket.read(Math.min(most, socket.readableLength)) as Buffer | null;
      if (chunk === null) return;
      if (!this.#deaf) this.#stream.sendData(FrameKind.data, chunk);
    }
  }

  #consume(bytes: number): void {
    if (!this.#over) this.#stream.consume(bytes);
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    const told =
      error instanceof MicrosandboxError
        ? error
        : new RuntimeError(`the connection to the guest failed: ${error.message}`, { cause: error });
    this.#stream.abort(told);
    this.#socket?.destroy();
  }

  #abandon(): void {
    this.#over = true;
    this.#giveUp.abort(new RuntimeError("nobody waits for the connection any more"));
    this.#socket?.destroy();
  }
}
