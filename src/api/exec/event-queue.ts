import { Operation, type WaitOptions } from "../../host/operation.ts";
import type { ExecEvent } from "./exec-event.ts";

/** The events of a command, in order, between their arrival and whoever takes them. */
export class EventQueue {
  readonly #taken: (event: ExecEvent) => void;
  readonly #waiting: ExecEvent[] = [];
  readonly #listeners: PromiseWithResolvers<ExecEvent | null>[] = [];
  #dropping = false;
  #isOver = false;
  #failure: Error | null = null;

  /** @param taken - called for each event when it is taken or dropped */
  constructor(taken: (event: ExecEvent) => void) {
    this.#taken = taken;
  }

  /** Whether no more events come than wait already. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** The next event; after the last one null for ever, or what {@link fail} was given, thrown. */
  async next(options: WaitOptions): Promise<ExecEvent | null> {
    const event = this.#waiting.shift();
    if (event !== undefined) {
      this.#taken(event);
      return event;
    }
    if (this.#failure !== null) throw this.#failure;
    if (this.#isOver) return null;
    const listener = Promise.withResolvers<ExecEvent | null>();
    return await Operation.run("wait for an event of the command", options, async (operation) => {
      operation.throwIfOver();
      this.#listeners.push(listener);
      try {
        return await operation.wait(listener.promise);
      } finally {
        // One who has given up must not take the next event from whoever asks after him.
        const place = this.#listeners.indexOf(listener);
        if (place !== -1) this.#listeners.splice(place, 1);
      }
    });
  }

  push(event: ExecEvent): void {
    if (this.#isOver) return;
    const listener = this.#listeners.shift();
    if (listener === undefined && !this.#dropping) {
      this.#waiting.push(event);
      return;
    }
    this.#taken(event);
    listener?.resolve(event);
  }

  /** Drops what waits. */
  clear(): void {
    for (const event of this.#waiting.splice(0)) this.#taken(event);
  }

  /** Drops what waits, and from now on what nobody listens for. */
  drop(): void {
    this.#dropping = true;
    this.clear();
  }

  /** Has what comes from now on wait again. */
  keep(): void {
    this.#dropping = false;
  }

  close(): void {
    this.#isOver = true;
    for (const listener of this.#listeners.splice(0)) listener.resolve(null);
  }

  fail(error: Error): void {
    this.#isOver = true;
    this.#failure = error;
    for (const listener of this.#listeners.splice(0)) listener.reject(error);
  }
}
