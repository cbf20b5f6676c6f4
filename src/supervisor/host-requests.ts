import type { Duplex } from "node:stream";
import { RuntimeError, UnsupportedOperationError } from "../errors/index.ts";
import { encodeFailure } from "../protocol/failure.ts";
import type { Message, WarmedMessage } from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import { Streams, type ConnectionHandler } from "../protocol/streams.ts";
import { violation } from "../protocol/violation.ts";
import { warm } from "../start/warm.ts";
import type { Home } from "../store/home.ts";
import { parseStoredConfig } from "../config/sandbox/stored-config.ts";
import { diagnoseHost } from "./diagnose/diagnose.ts";
import { openWarmLogs } from "./logs/warm-logs.ts";

/** A supervisor without a sandbox: it answers what its owner asks about this host, and leaves with the owner. */
export class HostRequests implements ConnectionHandler {
  readonly #home: Home;
  readonly #streams: Streams;
  readonly #left = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  readonly #answers: Promise<void>[] = [];

  private constructor(owner: Duplex, home: Home) {
    this.#home = home;
    this.#streams = new Streams(owner, { incoming: "client→supervisor" }, this);
  }

  /** @returns when the owner has left, and nothing is under way any more */
  static async answer(owner: Duplex, home: Home): Promise<void> {
    const requests = new HostRequests(owner, home);
    await requests.#closed.promise;
    await Promise.all(requests.#answers);
  }

  message({ type }: Message): void {
    throw violation(`${type} to a supervisor without a sandbox`);
  }

  accept(stream: Stream, request: Message): StreamHandler {
    this.#answers.push(this.#answer(stream, this.#carryOut(request)));
    // Nothing but the end can come; whoever gives up waiting leaves.
    return { message: () => undefined, data: () => undefined, lost: () => undefined };
  }

  reason(error: Error | null): Error {
    return error ?? new RuntimeError("whoever asked has left");
  }

  closed(): void {
    this.#left.abort(new Error("whoever asked has left"));
    this.#closed.resolve();
  }

  async #answer(stream: Stream, answer: Promise<Message>): Promise<void> {
    stream.send(await answer.catch(encodeFailure));
  }

  #carryOut(request: Message): Promise<Message> {
    switch (request.type) {
      case "Warm":
        return this.#warm(request.config);
      case "Diagnose":
        return this.#diagnose();
      default:
        throw violation(`${request.type} to a supervisor without a sandbox`);
    }
  }

  async #diagnose(): Promise<Message> {
    return { type: "Diagnosis", findings: await diagnoseHost(this.#home) };
  }

  async #warm(config: string): Promise<WarmedMessage> {
    const outcome = await warm({
      home: this.#home,
      config: parseStoredConfig(config),
      notice: (message) => {
        this.#streams.send({ type: "Notice", message });
      },
      openLogs: openWarmLogs,
      signal: this.#left.signal,
    });
    if (outcome.kind !== "unavailable") return { type: "Warmed", outcome: outcome.kind };
    throw new UnsupportedOperationError(`no template can be made on this host: ${outcome.reason}`, {
      hint: 'Sandboxes boot instead. "msb template list" and "msb doctor" tell why.',
    });
  }
}
