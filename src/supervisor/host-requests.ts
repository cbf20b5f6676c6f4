import type { Duplex } from "node:stream";
import { ProtocolError, UnsupportedOperationError } from "../errors/index.ts";
import { Channel, type ChannelHandler } from "../protocol/channel.ts";
import { encodeFailure } from "../protocol/failure.ts";
import type { Message, WarmedMessage } from "../protocol/generated/messages.ts";
import { warm } from "../start/warm.ts";
import type { Home } from "../store/home.ts";
import { parseStoredConfig } from "../config/sandbox/stored-config.ts";
import { diagnoseHost } from "./diagnose/diagnose.ts";
import { openWarmLogs } from "./logs/warm-logs.ts";

/** A supervisor without a sandbox: it answers what its owner asks about this host, and leaves with the owner. */
export class HostRequests implements ChannelHandler {
  readonly #home: Home;
  readonly #channel: Channel;
  readonly #left = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  readonly #answers: Promise<void>[] = [];

  private constructor(owner: Duplex, home: Home) {
    this.#home = home;
    this.#channel = new Channel(owner, { incoming: "client→supervisor" }, this);
  }

  /** @returns when the owner has left, and nothing is under way any more */
  static async answer(owner: Duplex, home: Home): Promise<void> {
    const requests = new HostRequests(owner, home);
    await requests.#closed.promise;
    await Promise.all(requests.#answers);
  }

  message(stream: number, message: Message): void {
    this.#answers.push(this.#answer(stream, message));
  }

  bulk(): void {
    throw new ProtocolError("nothing here takes bytes");
  }

  closed(): void {
    this.#left.abort(new Error("whoever asked has left"));
    this.#closed.resolve();
  }

  async #answer(stream: number, message: Message): Promise<void> {
    let answer: Message;
    try {
      answer = await this.#carryOut(message);
    } catch (error) {
      answer = encodeFailure(error);
    }
    this.#channel.send(stream, answer);
  }

  async #carryOut(message: Message): Promise<Message> {
    switch (message.type) {
      case "Warm":
        return await this.#warm(message.config);
      case "Diagnose":
        return { type: "Diagnosis", findings: await diagnoseHost(this.#home) };
      default:
        throw new ProtocolError(`a supervisor without a sandbox was sent ${message.type}`);
    }
  }

  async #warm(config: string): Promise<WarmedMessage> {
    const outcome = await warm({
      home: this.#home,
      config: parseStoredConfig(config),
      notice: (message) => {
        this.#channel.send(0, { type: "Notice", message });
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
