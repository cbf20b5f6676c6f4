import type { Duplex } from "node:stream";
import { ProtocolError, RuntimeError } from "../errors/index.ts";
import { takeReads } from "../host/system/shared-read-buffer.ts";
import { encodeControlFrame } from "./control.ts";
import { writeFrame } from "./frame-buffers.ts";
import { encodeFrame, FrameDecoder, FrameKind, type DataKind, type Frame } from "./frame.ts";
import { decodeMessage, type Message } from "./generated/messages.ts";
import type { Route } from "./schema/types.ts";

export interface ChannelHandler {
  message(stream: number, message: Message): void;
  /** The payload is the handler's until it returns: what it keeps, it copies. */
  data(stream: number, kind: DataKind, payload: Buffer): void;
  /** Called once. null: the peer closed in order; a ProtocolError: it broke the rules; else the socket failed. */
  closed(error: Error | null): void;
}

/** A frame that is sent later. */
export interface HeldFrame {
  readonly stream: number;
  readonly frame: Buffer;
  /** null: it is data, so many bytes. */
  readonly message: Message | null;
  readonly bytes: number;
}

export interface ChannelOptions {
  /** What may be received. */
  readonly incoming: Route;
  /** How long a frame may take from its first byte to its last, ms. */
  readonly frameTimeoutMs?: number;
  /**
   * Stop reading while the peer leaves so many bytes unread, so that questions cannot pile up answers. Off for the agent's
   * hop, where both sides' unread bytes are bounded by credit and two paused readers would wait for each other.
   */
  readonly pauseAtBytes?: number;
}

/** More than any honest peer lets pile up: credit bounds data, and control messages are answered. */
const unreadLimitBytes = 64 * 1024 * 1024;
const defaultFrameTimeoutMs = 30_000;

/** Frames and messages on a byte stream; the same on both hops and both ends. */
export class Channel {
  readonly #duplex: Duplex;
  readonly #incoming: Route;
  readonly #handler: ChannelHandler;
  readonly #decoder = new FrameDecoder({ lends: true });
  readonly #frameTimeoutMs: number;
  readonly #pauseAtBytes: number;
  #frameTimer: NodeJS.Timeout | null = null;
  #closed = false;
  #received = 0;
  /** What is to be sent later; null: it is sent at once. Credit bounds what can come together. */
  #held: HeldFrame[] | null = null;

  constructor(duplex: Duplex, options: ChannelOptions, handler: ChannelHandler) {
    this.#duplex = duplex;
    this.#incoming = options.incoming;
    this.#handler = handler;
    this.#frameTimeoutMs = options.frameTimeoutMs ?? defaultFrameTimeoutMs;
    this.#pauseAtBytes = options.pauseAtBytes ?? Number.POSITIVE_INFINITY;
    takeReads(duplex, (bytes) => {
      this.#receive(bytes);
    });
    duplex.on("end", () => {
      this.#ended();
    });
    duplex.on("close", () => {
      this.#close(null);
    });
    duplex.on("error", (error) => {
      this.#close(error);
    });
    duplex.on("drain", () => {
      duplex.resume();
      this.#watchPartialFrame();
    });
    // A peer that left before anyone listened is not told by an event.
    if (duplex.destroyed || duplex.readableEnded) {
      queueMicrotask(() => {
        this.#close(null);
      });
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How many bytes the peer has sent so far. */
  get received(): number {
    return this.#received;
  }

  send(stream: number, message: Message): void {
    if (!this.#writable) return;
    const frame = encodeControlFrame(stream, message);
    if (this.#held !== null) {
      this.#held.push({ stream, frame, message, bytes: 0 });
      return;
    }
    this.#duplex.write(frame);
    this.#written();
  }

  /** The payload is the caller's again when this returns. */
  sendData(stream: number, kind: DataKind, payload: Buffer): void {
    if (!this.#writable) return;
    if (this.#held !== null) {
      const frame = encodeFrame(stream, kind, payload);
      this.#held.push({ stream, frame, message: null, bytes: payload.length });
      return;
    }
    writeFrame(this.#duplex, stream, kind, payload);
    this.#written();
  }

  /** Keeps what is sent from now on until {@link release}. */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    if (!this.#writable) return;
    for (const { frame } of held) this.#duplex.write(frame);
    this.#written();
  }

  /** What the peer has not been told yet, because it is held. */
  get held(): readonly HeldFrame[] {
    return this.#held ?? [];
  }

  /** Drops the connection because of what the peer did. */
  fail(error: Error): void {
    this.#close(error);
  }

  /**
   * Says that nothing more is sent; resolves when the peer has read everything and closed. Whoever leaves before that may
   * take his last words with him: the peer's next write fails, and with it the connection, whatever was still unread.
   */
  async end(): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#duplex.once("close", resolve);
      this.#duplex.end();
    });
  }

  get #writable(): boolean {
    return !this.#closed && this.#duplex.writable;
  }

  #written(): void {
    const unread = this.#duplex.writableLength;
    if (unread > unreadLimitBytes) {
      this.#close(new ProtocolError(`the peer left ${unread} bytes unread`));
    } else if (unread > this.#pauseAtBytes) {
      this.#duplex.pause();
      this.#watchPartialFrame();
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.#received += chunk.length;
    try {
      for (const frame of this.#decoder.push(chunk)) {
        this.#dispatch(frame);
        // A handler may have dropped the connection.
        if (this.closed) return;
        // The next one has time of its own: where pieces end says nothing about where frames do.
        this.#unwatch();
      }
    } catch (error) {
      this.#close(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#watchPartialFrame();
  }

  #dispatch(frame: Frame): void {
    if (frame.kind === FrameKind.control) {
      this.#handler.message(frame.stream, decodeMessage(frame.payload, this.#incoming));
    } else {
      this.#handler.data(frame.stream, frame.kind, frame.payload);
    }
  }

  /** A frame that has begun must be whole in time. While this side does not read, that is not the peer's fault. */
  #watchPartialFrame(): void {
    if (this.#closed || !this.#decoder.partial || this.#duplex.isPaused()) {
      this.#unwatch();
      return;
    }
    this.#frameTimer ??= setTimeout(() => {
      const timer = this.#frameTimer;
      // After a time in which this process did not run, timers come before what has arrived meanwhile.
      setImmediate(() => {
        if (timer === null || this.#frameTimer !== timer) return;
        const error = `the peer sent part of a frame and did not complete it within ${this.#frameTimeoutMs} ms`;
        this.#close(new ProtocolError(error));
      });
    }, this.#frameTimeoutMs).unref();
  }

  #unwatch(): void {
    if (this.#frameTimer !== null) clearTimeout(this.#frameTimer);
    this.#frameTimer = null;
  }

  #ended(): void {
    try {
      this.#decoder.end();
      this.#close(null);
    } catch (error) {
      if (!this.#decoder.partial) this.#close(error instanceof Error ? error : new Error(String(error)));
      // Whoever is killed ends where he is, and breaks no rule by that.
      else this.#close(new RuntimeError("the connection was cut off inside a frame", { cause: error }));
    }
  }

  #close(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch();
    this.#duplex.destroy();
    this.#handler.closed(error);
  }
}
