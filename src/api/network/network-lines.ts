import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { Message, NetworkEventsMessage } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import type { BorrowedConnection } from "../control/sandbox-link.ts";

/** Lines of network.log as the supervisor writes them. The next ones are asked for when those before are done with. */
export class NetworkLines implements StreamHandler, Disposable {
  readonly #borrowed: BorrowedConnection;
  readonly #stream: Stream;
  /** Settled when what was asked for has come: null at the end. */
  #answer = Promise.withResolvers<NetworkEventsMessage | null>();
  #isAsked = true;

  /** @throws RuntimeError when too much is asked of the connection already */
  constructor(borrowed: BorrowedConnection) {
    this.#borrowed = borrowed;
    this.#answer.promise.catch(() => undefined);
    try {
      this.#stream = borrowed.connection.subscribe({ type: "WatchNetwork" }, this);
    } catch (error) {
      borrowed[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * What has come since it was asked last; null when the sandbox has ended, or its supervisor is gone.
   *
   * @throws SandboxNotRunningError, UnsupportedOperationError; the signal's reason
   */
  async next(signal: AbortSignal): Promise<NetworkEventsMessage | null> {
    if (!this.#isAsked) {
      this.#isAsked = true;
      this.#answer = Promise.withResolvers();
      this.#answer.promise.catch(() => undefined);
      if (this.#stream.over) this.#answer.resolve(null);
      else this.#stream.send({ type: "Next" });
    }
    const release = this.#borrowed.connection.hold();
    try {
      const answer = await unlessAborted(this.#answer.promise, signal);
      this.#isAsked = false;
      return answer;
    } finally {
      release();
    }
  }

  [Symbol.dispose](): void {
    this.#stream.abort(new RuntimeError("nobody waits for events any more"));
    this.#borrowed[Symbol.dispose]();
  }

  /** @internal */
  message(message: Message): void {
    if (message.type === "NetworkEvents") this.#answer.resolve(message);
    else if (message.type === "Ended") this.#answer.resolve(null);
    else if (message.type === "Failure") this.#answer.reject(decodeFailure(message));
    else this.#answer.reject(new ProtocolError(`the supervisor sent ${message.type} among events`));
  }

  /** @internal */
  data(): void {
    // None is allowed this way.
  }

  /** @internal */
  lost(): void {
    this.#answer.resolve(null);
  }
}
