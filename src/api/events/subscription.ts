import { InvalidConfigError } from "../../errors/index.ts";
import type { WaitOptions } from "../../host/operation.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import type { EventData } from "./event-types.ts";
import { SandboxEvents } from "./sandbox-events.ts";

/** What is called with each event. One that returns a promise gets the next event when that has resolved. */
export type EventCallback = (event: EventData) => unknown;

/**
 * A function that is called with each event of a name. Until it is closed, or the sandbox ends, it keeps the program alive, as a socket does.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("subscription-example").image("localhost/base").replace().create();
 * using subscription = sandbox.onEvent("built", ({ data }) => console.log(data));
 * await subscription.ready;
 * await sandbox.exec("msb-emit", ["built", '{"files":3}']);
 * ```
 */
export class Subscription implements Disposable {
  /** The name that it is for. */
  readonly event: string;
  /** Resolves when whatever comes to pass from then on is told. */
  readonly ready: Promise<void>;
  /**
   * Resolves when it is over: it was closed, its signal was aborted, or the sandbox has ended. Rejects with what the function throws, and
   * with what keeps it from listening. Whoever does not look at it gets that as an unhandled rejection.
   */
  readonly ended: Promise<void>;
  readonly #events: SandboxEvents;

  /** @internal */
  constructor(control: SandboxControl, event: string, callback: EventCallback, options: WaitOptions) {
    if (typeof event !== "string" || typeof callback !== "function")
      throw new InvalidConfigError("onEvent() takes the name of an event, and a function", {
        hint: 'For example: sandbox.onEvent("built", ({ data }) => console.log(data)).',
      });
    this.event = event;
    this.#events = new SandboxEvents(control, { ...options, names: [event] });
    this.ready = this.#events.ready;
    this.ended = this.#run(callback, options.signal);
  }

  /** The function is not called any more. Again does nothing. */
  close(): void {
    this.#events.close();
  }

  /** The same as {@link close}. */
  unsubscribe(): void {
    this.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #run(callback: EventCallback, signal: AbortSignal | undefined): Promise<void> {
    try {
      for await (const event of this.#events) await callback(event);
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) return;
      throw error;
    }
  }
}
