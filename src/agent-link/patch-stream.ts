import { PatchFailedError, ProtocolError, RuntimeError } from "../errors/index.ts";
import { unlessAborted } from "../host/unless-aborted.ts";
import { decodeFailure } from "../protocol/failure.ts";
import { FrameKind } from "../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../protocol/generated/limits.ts";
import type { FileFailedMessage, Message, PatchApplyMessage } from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";

/** Whose patch it is, for the error. */
export interface PatchName {
  readonly kind: string;
  readonly path: string;
}

/** How long a guest may take no more of a patch, or not answer it, ms. */
const longestStillMs = 60_000;

/** A patch on its way into a guest. */
export class PatchStream {
  readonly #stream: Stream;
  readonly #name: PatchName;
  readonly #signal: AbortSignal;
  readonly #answer = Promise.withResolvers<void>();
  /** What waits for more, so that each small record does not cost a frame. */
  #gathered: Buffer[] = [];
  #bytes = 0;

  /** @param open opens the stream with its message */
  constructor(
    open: (request: PatchApplyMessage, handler: StreamHandler) => Stream,
    request: PatchApplyMessage,
    name: PatchName,
    signal: AbortSignal,
  ) {
    this.#name = name;
    this.#signal = signal;
    this.#answer.promise.catch(() => undefined);
    this.#stream = open(request, {
      message: (message) => {
        this.#receive(message);
      },
      data: () => undefined,
      lost: (error) => {
        this.#answer.reject(error);
      },
    });
  }

  /** Sends more of what the patch consists of. The bytes are the caller's again when this resolves. @throws PatchFailedError when the guest takes no more; the signal's reason */
  async write(bytes: Buffer): Promise<void> {
    // What is large is sent as it is, what is small is gathered.
    if (this.#bytes + bytes.length > MAX_DATA_PAYLOAD) await this.#flush();
    if (bytes.length >= MAX_DATA_PAYLOAD) {
      await this.#send(bytes);
      return;
    }
    this.#gathered.push(Buffer.from(bytes));
    this.#bytes += bytes.length;
  }

  /** Says that this was all, and waits until it is done. @throws PatchFailedError; the signal's reason */
  async finish(): Promise<void> {
    await this.#flush();
    this.#stream.end();
    await this.#within(this.#answer.promise);
  }

  /** What goes wrong on this side of the patch. */
  failed(what: string, cause?: unknown): PatchFailedError {
    this.#stream.abort(new RuntimeError("the patch was given up"));
    return failure(this.#name, what, null, cause);
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#bytes = 0;
    await this.#send(bytes);
  }

  async #send(bytes: Buffer): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      if (this.#stream.over) await this.#answer.promise;
      if (this.#stream.credit === 0) {
        // A patch that has failed grants no more, and says why.
        await this.#within(Promise.race([this.#stream.writable(this.#signal), this.#answer.promise]));
        continue;
      }
      const count = Math.min(this.#stream.credit, MAX_DATA_PAYLOAD, bytes.length - sent);
      this.#stream.sendData(FrameKind.data, bytes.subarray(sent, sent + count));
      sent += count;
    }
  }

  /** Waits for the guest, but not for ever. */
  async #within<T>(promise: Promise<T>): Promise<T> {
    const limit = new AbortController();
    const timer = setTimeout(() => {
      limit.abort(this.failed(`the guest has not gone on with it for ${longestStillMs / 1000} s`));
    }, longestStillMs);
    try {
      return await unlessAborted(promise, AbortSignal.any([this.#signal, limit.signal]));
    } catch (error) {
      this.#signal.throwIfAborted();
      limit.signal.throwIfAborted();
      // What ended the stream says more than that it is over.
      if (this.#stream.over) await this.#answer.promise;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(message: Message): void {
    if (message.type === "FileDone") this.#answer.resolve();
    else if (message.type === "FileFailed") this.#answer.reject(refusal(this.#name, message));
    else if (message.type === "Failure") this.#answer.reject(decodeFailure(message));
    else this.#answer.reject(new ProtocolError(`the guest sent ${message.type} on the stream of a patch`));
  }
}

function failure(name: PatchName, what: string, errno: number | null, cause?: unknown): PatchFailedError {
  const message = `the patch ${name.kind} ${name.path} failed: ${what}`;
  return new PatchFailedError(message, { ...name, errno }, { cause, hint: hintOf(errno) });
}

/** In the guest's words. */
function refusal(name: PatchName, { path, operation, errno, message }: FileFailedMessage): PatchFailedError {
  const at = Buffer.from(path).toString("utf8");
  const where = at === name.path || at === "" ? "" : ` (${operation} ${at})`;
  return failure(name, `${message}${where}`, errno === 0 ? null : errno);
}

/** What to do about an errno of Linux. */
function hintOf(errno: number | null): string {
  switch (errno) {
    case 17:
      return "Say that it is to be replaced (replace: true), or remove it with an earlier patch.";
    case 2:
      return "It must be in the image, or be made by an earlier patch.";
    case 16:
      return "Something is mounted there: patches change the root file system alone.";
    case 20:
    case 21:
      return "A file is where a directory is needed, or the reverse: look at the image.";
    case 28:
      return "Give the sandbox a larger root disk (rootDisk).";
    default:
      return "Correct the patch, or leave it out. Nothing was created.";
  }
}
