import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import { FrameKind } from "../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import type {
  FileChangesMessage,
  FileDoneMessage,
  FileOpenedMessage,
  Message,
  TreeDoneMessage,
} from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { BorrowedConnection } from "../control/sandbox-link.ts";
import { fsError } from "./fs-error.ts";
import { LentChunks } from "./lent-chunks.ts";

/** How a stream about files ends well. */
export type LastWord = FileDoneMessage | TreeDoneMessage;

/** A stream about a file or a tree: contents one way or the other, after the guest has opened what was asked for. */
export class GuestStream implements StreamHandler {
  readonly #stream: Stream;
  readonly #borrowed: BorrowedConnection;
  readonly #path: Uint8Array;
  readonly #opened = Promise.withResolvers<FileOpenedMessage>();
  readonly #ended = Promise.withResolvers<LastWord>();
  readonly #chunks: Buffer[] = [];
  readonly #lent: LentChunks | null;
  readonly #changes: FileChangesMessage[] = [];
  /** How many of them were asked for and have not come. */
  #asked = 0;
  /** Woken when there is something new. */
  #news = Promise.withResolvers<void>();
  #last: LastWord | null = null;
  #failure: Error | null = null;

  /**
   * @param borrowed is given back when the stream is over
   * @param path for errors
   * @param lends a chunk is there only until so many others came that {@link LentChunks} uses its memory again
   */
  constructor(borrowed: BorrowedConnection, request: Message, path: Uint8Array, lends = false) {
    this.#lent = lends ? new LentChunks() : null;
    this.#borrowed = borrowed;
    this.#path = path;
    for (const { promise } of [this.#opened, this.#ended]) promise.catch(() => undefined);
    try {
      this.#stream = borrowed.connection.open(request, this);
    } catch (error) {
      borrowed[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves when the guest has opened what was asked for. @throws SandboxFsError when it could not */
  async opened(signal: AbortSignal): Promise<FileOpenedMessage> {
    return await this.#unlessAborted(this.#opened.promise, signal);
  }

  /** Resolves with the guest's last word. @throws SandboxFsError */
  async finished(signal: AbortSignal): Promise<LastWord> {
    return await this.#unlessAborted(this.#ended.promise, signal);
  }

  /** The next bytes; null at the end. @throws SandboxFsError; the signal's reason, which leaves the stream as it is */
  async next(signal: AbortSignal): Promise<Buffer | null> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#lent?.given(chunk);
        this.#stream.consume(chunk.length);
        return chunk;
      }
      if (this.#failure !== null) throw this.#failure;
      if (this.#last !== null) return null;
      await unlessAborted(this.#news.promise, signal);
    }
  }

  /** Asks for what has changed since it was asked last; null when what was watched is gone. */
  async changes(signal: AbortSignal): Promise<FileChangesMessage | null> {
    this.#stream.send({ type: "Next" });
    this.#asked++;
    return await this.moreChanges(signal);
  }

  /** Waits for what was asked for. */
  async moreChanges(signal: AbortSignal): Promise<FileChangesMessage | null> {
    for (;;) {
      const changes = this.#changes.shift();
      if (changes !== undefined) return changes;
      if (this.#failure !== null) throw this.#failure;
      if (this.#last !== null) return null;
      await unlessAborted(this.#news.promise, signal);
    }
  }

  /** Sends bytes, as the guest takes them. @throws SandboxFsError when it takes no more; the signal's reason */
  async write(bytes: Buffer, signal: AbortSignal): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      if (this.#stream.credit === 0 || this.#stream.over) await this.#writable(signal);
      const count = Math.min(this.#stream.credit, MAX_DATA_PAYLOAD, bytes.length - sent);
      this.#stream.sendData(FrameKind.data, bytes.subarray(sent, sent + count));
      sent += count;
    }
  }

  /** Nothing more is sent. */
  end(): void {
    this.#stream.end();
  }

  /** Gives it up: what was being written is not written. */
  abort(reason: Error): void {
    if (this.#last !== null || this.#failure !== null) return;
    this.#stream.abort(reason);
    this.#fail(reason);
  }

  /** Whether nothing more comes of it. */
  get over(): boolean {
    return this.#last !== null || this.#failure !== null;
  }

  /** @internal */
  message(message: Message): void {
    switch (message.type) {
      case "FileOpened":
        this.#opened.resolve(message);
        return;
      case "FileChanges":
        if (--this.#asked < 0) {
          this.abort(new ProtocolError("FileChanges came that nobody had asked for"));
          return;
        }
        this.#changes.push(message);
        this.#tell();
        return;
      case "FileDone":
      case "TreeDone":
        this.#last = message;
        this.#opened.reject(new ProtocolError(`the guest sent ${message.type} of what it had not opened`));
        this.#ended.resolve(message);
        this.#over();
        return;
      case "FileFailed":
        this.#fail(fsError(message, this.#path));
        return;
      case "Failure":
        this.#fail(decodeFailure(message));
        return;
      default:
        this.#fail(new ProtocolError(`the supervisor sent ${message.type} on a stream about files`));
    }
  }

  /** @internal */
  data(_kind: FrameKind, payload: Buffer): void {
    this.#chunks.push(this.#lent?.copy(payload) ?? Buffer.from(payload));
    this.#tell();
  }

  /** @internal */
  lost(error: Error): void {
    this.#fail(error);
  }

  async #writable(signal: AbortSignal): Promise<void> {
    try {
      await this.#stream.writable(signal);
    } catch (error) {
      signal.throwIfAborted();
      // What ended the stream says more than that it is over.
      throw this.#failure ?? (this.#last === null ? error : new RuntimeError("the guest takes no more"));
    }
  }

  async #unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    return await unlessAborted(promise, signal);
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  #fail(error: Error): void {
    if (this.over) return;
    this.#failure = error;
    this.#opened.reject(error);
    this.#ended.reject(error);
    this.#over();
  }

  #over(): void {
    this.#tell();
    this.#borrowed[Symbol.dispose]();
  }
}
