import type { Http2Stream } from "node:http2";
import type { BodyFilter } from "../http/inspector.ts";

/**
 * Passes one direction of a stream on, as a filter wants it. No more is read than the other side takes, so that no more waits here than the
 * windows of both.
 */
export class BodyPump {
  /** All of the body has come, and its sender has said so. */
  isComplete = false;
  readonly #from: Http2Stream;
  readonly #to: Http2Stream;
  readonly #filter: BodyFilter | null;
  readonly #failed: (error: unknown) => void;
  /** What came is passed on in order, however long a filter thinks. */
  #passing: Promise<void> | null = null;

  /** @param failed told of what the filter throws; nothing is passed on after that */
  constructor(
    from: Http2Stream,
    to: Http2Stream,
    filter: BodyFilter | null,
    failed: (error: unknown) => void,
  ) {
    this.#from = from;
    this.#to = to;
    this.#filter = filter;
    this.#failed = failed;
  }

  begin(): void {
    const from = this.#from;
    const to = this.#to;
    const filter = this.#filter;
    from.on("data", (bytes: Buffer) => {
      if (filter === null) this.#write([bytes]);
      else this.#through(() => filter.push(bytes));
    });
    // Before Node's own listener, which destroys a stream that was closed while nobody read it.
    from.prependListener("end", () => {
      // Node ends what was cut off, too, once it is destroyed.
      if (from.destroyed) return;
      this.isComplete = true;
      if (filter === null) {
        to.end();
        return;
      }
      this.#through(
        () => filter.end(),
        () => to.end(),
      );
    });
    to.on("drain", () => {
      if (this.#passing === null) from.resume();
    });
  }

  #through(act: () => ReturnType<BodyFilter["push"]>, then: () => void = () => undefined): void {
    if (this.#passing !== null) {
      this.#wait(
        this.#passing.then(() => act()),
        then,
      );
      return;
    }
    try {
      const out = act();
      if (out instanceof Promise) {
        this.#wait(out, then);
        return;
      }
      this.#write(out);
      then();
    } catch (error) {
      this.#failed(error);
    }
  }

  #wait(out: Promise<readonly Buffer[]>, then: () => void): void {
    this.#from.pause();
    const passing = out.then(
      (pieces) => {
        if (this.#passing === passing) this.#passing = null;
        if (this.#write(pieces) && this.#passing === null) this.#from.resume();
        then();
      },
      (error: unknown) => this.#failed(error),
    );
    this.#passing = passing;
  }

  #write(pieces: readonly Buffer[]): boolean {
    let takesMore = true;
    for (const piece of pieces) if (piece.length > 0 && this.#to.writable) takesMore = this.#to.write(piece);
    if (!takesMore) this.#from.pause();
    return takesMore;
  }
}
