import type { DataKind } from "../../protocol/frame.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { violation } from "../../protocol/violation.ts";

export interface SubscriptionOptions {
  readonly stream: Stream;
  /** Makes the newest item; null when there is none after all. What it throws ends the subscription. */
  readonly produce: () => Message | null | Promise<Message>;
  /** Called once, when nobody listens any more. */
  readonly over: () => void;
}

/**
 * The supervisor's end of a subscription of which only the newest item counts. One item at most is under way: the next one is
 * made when the subscriber has asked for it and there is something new, whichever comes last.
 */
export class Subscription implements StreamHandler {
  readonly #options: SubscriptionOptions;
  #state: "wanted" | "being made" | "sent" | "over" = "wanted";
  #isNew = false;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** There is something new. */
  offer(): void {
    this.#isNew = true;
    this.#go();
  }

  /** Next is the only message that a subscriber may send. */
  message({ type }: Message): void {
    if (this.#state !== "sent") throw violation(`out of turn: ${type} before there was an item`);
    this.#state = "wanted";
    this.#go();
  }

  data(kind: DataKind): void {
    throw violation(`no data this way: kind ${kind} on a subscription`);
  }

  aborted(): void {
    this.#end();
  }

  lost(): void {
    this.#end();
  }

  /** Says the last word. */
  end(last: Message): void {
    this.#options.stream.send(last);
    this.#end();
  }

  #go(): void {
    if (this.#state !== "wanted" || !this.#isNew) return;
    this.#isNew = false;
    this.#state = "being made";
    void this.#make();
  }

  async #make(): Promise<void> {
    const { stream, produce } = this.#options;
    try {
      const item = await produce();
      if (this.#state !== "being made") return;
      this.#state = item === null ? "wanted" : "sent";
      if (item === null) this.#go();
      else stream.send(item);
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
      this.#end();
    }
  }

  #end(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#options.over();
  }
}
