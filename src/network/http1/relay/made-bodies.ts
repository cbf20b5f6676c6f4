import type { BodyTaker, MadeBody } from "../../http/inspector.ts";
import type { Framing } from "../message/heads.ts";
import { maxHeldBodyBytes } from "../message/limits.ts";
import { Malformed } from "../message/malformed.ts";
import type { BodySink } from "./body-sinks.ts";
import type { Outlet } from "./outlet.ts";

const lineEnd = Buffer.from("\r\n");
const lastChunk = Buffer.from("0\r\n");

/** How long a body that is made is said to be. @param version that the one it is for speaks */
export function framingOfMade({ length }: MadeBody, version: "1.0" | "1.1" | "2"): Framing | "later" {
  if (typeof length === "number") return { kind: "fixed", length };
  if (length === "later") return "later";
  return version === "1.0" ? "later" : { kind: "chunked" };
}

/** Where a message's own body goes while another is sent. */
export function takenBy(taker: BodyTaker | null, ended: (trailers: Buffer) => Promise<void>): BodySink {
  return {
    decodes: true,
    push: (bytes) => taker?.push(bytes),
    end: async (trailers) => {
      await taker?.end();
      await ended(trailers);
    },
  };
}

/** A body that is made on its way out. */
export class Pouring {
  readonly #outlet: Outlet;
  readonly #made: MadeBody;
  readonly #framing: Framing;
  #trailers: Buffer = lineEnd;

  /** @param framing that was said in the head; with `none` nothing is written */
  constructor(outlet: Outlet, made: MadeBody, framing: Framing) {
    this.#outlet = outlet;
    this.#made = made;
    this.#framing = framing;
  }

  /** Of the message's own body: they follow this one when that has ended before. */
  set trailers(trailers: Buffer) {
    if (trailers.length > 0) this.#trailers = trailers;
  }

  /** @throws Blocked, or RangeError when it has another length than was said */
  async run(): Promise<void> {
    const framing = this.#framing;
    if (framing.kind === "none") {
      this.#made.cancel();
      return;
    }
    const outlet = this.#outlet;
    const isChunked = framing.kind === "chunked";
    let left = framing.kind === "fixed" ? framing.length : Number.POSITIVE_INFINITY;
    for (let bytes = await this.#made.read(); bytes !== null; bytes = await this.#made.read()) {
      if (bytes.length === 0) continue;
      left -= bytes.length;
      if (left < 0) throw new RangeError("a body is longer than was said");
      if (isChunked) outlet.push(Buffer.from(`${bytes.length.toString(16)}\r\n`, "latin1"));
      outlet.push(bytes);
      if (isChunked) outlet.push(lineEnd);
      outlet.flush();
      if (outlet.isFull) await outlet.drained();
    }
    if (framing.kind === "fixed" && left > 0) throw new RangeError("a body is shorter than was said");
    if (isChunked) {
      outlet.push(lastChunk);
      outlet.push(this.#trailers);
      outlet.flush();
    }
  }
}

/** All of a body whose length has to be said before it. @throws Blocked, or Malformed when it is too long */
export async function collected(made: MadeBody): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for (let piece = await made.read(); piece !== null; piece = await made.read()) {
    bytes += piece.length;
    if (bytes > maxHeldBodyBytes) {
      made.cancel();
      throw new Malformed("a body too long to be changed");
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces, bytes);
}
