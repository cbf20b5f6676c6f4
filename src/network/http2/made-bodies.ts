import { constants, type Http2Stream } from "node:http2";
import type { BodyTaker, MadeBody } from "../http/inspector.ts";

/** Gives the body of one direction of a stream to a taker, as fast as that takes it. */
export class BodyFeed {
  /** All of the body has come, and its sender has said so. */
  isComplete = false;
  readonly #from: Http2Stream;
  readonly #taker: BodyTaker | null;
  readonly #failed: (error: unknown) => void;
  #given: Promise<void> = Promise.resolve();

  /** @param taker null: what comes is dropped */
  constructor(from: Http2Stream, taker: BodyTaker | null, failed: (error: unknown) => void) {
    this.#from = from;
    this.#taker = taker;
    this.#failed = failed;
  }

  begin(): void {
    const from = this.#from;
    const taker = this.#taker;
    from.on("data", (bytes: Buffer) => {
      if (taker === null) return;
      from.pause();
      this.#then(async () => {
        await taker.push(bytes);
        if (!from.destroyed) from.resume();
      });
    });
    from.on("end", () => {
      // One that had ended in both directions before anybody read it is destroyed by its end.
      if (from.destroyed && from.rstCode !== constants.NGHTTP2_NO_ERROR) return;
      this.isComplete = true;
      this.#then(async () => taker?.end());
    });
    from.resume();
  }

  #then(act: () => Promise<void>): void {
    this.#given = this.#given.then(act).catch(this.#failed);
  }
}

/** A body that is made, on its way out. @returns settles when all of it was written, and the end said @throws Blocked */
export async function pour(made: MadeBody, to: Http2Stream): Promise<void> {
  let length = 0;
  for (let bytes = await made.read(); bytes !== null; bytes = await made.read()) {
    length += bytes.length;
    if (!to.writable) break;
    if (!to.write(bytes)) await drained(to);
  }
  if (typeof made.length === "number" && length !== made.length && to.writable)
    throw new RangeError("a body has another length than was said");
  if (to.writable) to.end();
  else made.cancel();
}

async function drained(to: Http2Stream): Promise<void> {
  if (to.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      to.off("drain", done).off("close", done);
      resolve();
    };
    to.on("drain", done).on("close", done);
  });
}
