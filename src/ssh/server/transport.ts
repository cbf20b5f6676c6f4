import type { Duplex } from "node:stream";
import { firstEvent } from "../../host/first-event.ts";
import { sshLimits } from "./limits.ts";

/** The bytes of one connection: what is on its way, and when there was something last. */
export class Transport {
  readonly socket: Duplex;
  readonly #inactivityMs: number;
  readonly #onInactive: () => void;
  #timer: NodeJS.Timeout | null = null;
  #last = performance.now();

  /** @param inactivityMs 0: it may be silent for ever */
  constructor(socket: Duplex, inactivityMs: number, onInactive: () => void) {
    this.socket = socket;
    this.#inactivityMs = inactivityMs;
    this.#onInactive = onInactive;
    socket.once("close", () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
    });
  }

  /** Begins to look at how long nothing has come or gone. */
  watch(): void {
    this.socket.on("data", () => this.touch());
    if (this.#inactivityMs > 0) this.#wait(this.#inactivityMs);
  }

  touch(): void {
    this.#last = performance.now();
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(
      () => {
        const left = this.#inactivityMs - (performance.now() - this.#last);
        if (left <= 0) this.#onInactive();
        else this.#wait(left);
      },
      Math.min(ms, longestTimer),
    );
  }

  /** Whether so much waits for a client that it cannot be meant well. */
  get isStuffed(): boolean {
    return this.socket.writableLength > sshLimits.unsentBytes;
  }

  /** Resolves when there is room for more, or never will be. */
  async room(): Promise<void> {
    while (this.socket.writableLength > sshLimits.busyBytes && !this.socket.destroyed)
      await firstEvent(this.socket, ["drain", "close"]);
  }
}

/** setTimeout() takes no more, ms. */
const longestTimer = 2 ** 31 - 1;
