import type { WebSocket } from "ws";

/** What may be on its way to a page before those wait who send it, bytes. */
const mostWaiting = 1 << 20;

/** Lets those wait who send to somebody slow. */
export class Pace {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** Resolves when little enough is on its way, or nobody listens any more. */
  async ready(signal?: AbortSignal): Promise<void> {
    // There is no event for it: the buffer is that of the socket and of WebSocket frames together.
    while (
      this.#socket.bufferedAmount > mostWaiting &&
      this.#socket.readyState === this.#socket.OPEN &&
      signal?.aborted !== true
    )
      await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
