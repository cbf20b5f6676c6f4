import { iterated } from "../../host/iterated.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { eventOptions, type EventData, type EventOptions } from "./event-types.ts";

/**
 * The events of a sandbox, one by one, until it ends. Somebody listens from the moment it was made, whether anybody waits for an event or
 * not: up to 4 MiB and 8,192 events are kept, and an event of the kind `dropped` stands for what found no room after them.
 */
export class SandboxEvents implements AsyncIterableIterator<EventData>, AsyncDisposable {
  readonly #left = new AbortController();
  readonly #events: AsyncGenerator<EventData | null, void, undefined>;
  /** Resolves when whatever comes to pass from then on is told, rejects when there is nothing to listen to. */
  readonly ready: Promise<void>;

  /** @internal */
  constructor(control: SandboxControl, { signal, ...options }: EventOptions & WaitOptions) {
    const signals = signal === undefined ? [] : [signal];
    this.#events = iterated<Operation, EventData | null>(
      (iterate) =>
        control.run(
          "listen to the events of sandbox",
          {
            ...options,
            signal:
              signals.length === 0 ? this.#left.signal : AbortSignal.any([...signals, this.#left.signal]),
          },
          iterate,
          eventOptions,
        ),
      async function* (operation) {
        const { readEvents } = await import("./read-events.ts");
        yield* readEvents(control, options, operation);
      },
    );
    this.ready = this.#events.next().then(() => undefined);
    this.ready.catch(() => undefined);
  }

  /** The next one. @throws as `ready`; the signal's reason; RuntimeError when the connection to the sandbox is lost */
  async next(): Promise<IteratorResult<EventData, void>> {
    try {
      await this.ready;
      const next = await this.#events.next();
      return next.done === true || next.value === null
        ? { done: true, value: undefined }
        : { done: false, value: next.value };
    } catch (error) {
      if (this.#left.signal.aborted) return { done: true, value: undefined };
      throw error;
    }
  }

  /** Listens no longer: whoever waits for an event is at the end. Again does nothing. */
  close(): void {
    this.#left.abort();
    this.#events.return().catch(() => undefined);
  }

  /** What leaving a loop before its end (`break`, `return`, an error) calls. */
  return(): Promise<IteratorResult<EventData, void>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
