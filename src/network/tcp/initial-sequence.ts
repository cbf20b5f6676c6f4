import type * as Crypto from "node:crypto";
import type { Ends } from "./segment/emit.ts";

/**
 * Initial sequence numbers (RFC 6528): a secret function of the ends, plus a clock. It ticks every 64 ns, as Linux's does: a guest that
 * still has the last connection of the same ends in TIME_WAIT takes a new one when its number is higher.
 */
export class InitialSequence {
  /** Loaded with the first connection only. */
  #crypto: typeof Crypto | null = null;
  #secret: Buffer = Buffer.alloc(0);

  /** @param now in ms */
  choose(ends: Ends, now: number): number {
    if (this.#crypto === null) {
      this.#crypto = process.getBuiltinModule("node:crypto");
      this.#secret = this.#crypto.randomBytes(32);
    }
    const ports = Buffer.alloc(4);
    ports.writeUInt16BE(ends.remotePort, 0);
    ports.writeUInt16BE(ends.guestPort, 2);
    const digest = this.#crypto.hash("sha256", Buffer.concat([this.#secret, ends.source, ports]), "buffer");
    return (digest.readInt32BE(0) + Math.floor((now * 1e6) / 64)) | 0;
  }
}
