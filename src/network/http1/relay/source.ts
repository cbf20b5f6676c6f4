import type { Duplex } from "node:stream";
import { readsWithSharedBuffer, takeReads } from "../../../host/system/shared-read-buffer.ts";

/** What one side says. It is not read while nobody wants more of it. */
export class Source {
  readonly #from: Duplex;
  #taker: ((bytes: Buffer) => void) | null = null;
  #isWanted = true;

  constructor(from: Duplex) {
    this.#from = from;
  }

  set isWanted(isWanted: boolean) {
    if (isWanted === this.#isWanted) return;
    this.#isWanted = isWanted;
    if (this.#taker === null) return;
    if (isWanted) this.#from.resume();
    else this.#from.pause();
  }

  /** @param take owns the bytes from then on */
  begin(take: (bytes: Buffer) => void): void {
    const taker = (bytes: Buffer): void => this.#taker?.(bytes);
    this.#taker = take;
    takeReads(this.#from, readsWithSharedBuffer(this.#from) ? (bytes) => taker(Buffer.from(bytes)) : taker);
    if (this.#isWanted) this.#from.resume();
    else this.#from.pause();
  }

  /** Leaves it, paused, to somebody else. */
  leave(): void {
    this.#taker = null;
    this.#from.pause();
    this.#from.removeAllListeners("data");
  }
}
