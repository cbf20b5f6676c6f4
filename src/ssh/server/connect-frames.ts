import type { GuestCommand } from "../guest.ts";

/** Bytes of a frame at most: what is longer is none of `agent --connect`. */
const longest = 1024 * 1024;
const header = 4;

/** A frame as `agent --connect` reads and prints them: the length of the rest, four bytes in network order, and that. */
export function framed(data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(header + data.length);
  frame.writeUInt32BE(data.length);
  frame.set(data, header);
  return frame;
}

/** Reads the frames that `agent --connect` prints. */
export class FramedOutput {
  readonly #command: Pick<GuestCommand, "recv">;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(command: Pick<GuestCommand, "recv">) {
    this.#command = command;
  }

  /** The next frame; null when there is none, because the program has ended. @throws when what it says is none */
  async next(): Promise<Buffer | null> {
    if (!(await this.#fill(header))) return null;
    const length = this.#take(header).readUInt32BE();
    if (length > longest) throw new Error("the guest sent a frame that is none");
    return (await this.#fill(length)) ? this.#take(length) : null;
  }

  async #fill(bytes: number): Promise<boolean> {
    while (this.#bytes < bytes) {
      const event = await this.#command.recv();
      if (event === null || event.kind === "exited") return false;
      if (event.kind !== "stdout") continue;
      this.#parts.push(event.data);
      this.#bytes += event.data.length;
    }
    return true;
  }

  #take(bytes: number): Buffer {
    const all = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    this.#bytes -= bytes;
    this.#parts.splice(0, this.#parts.length, all.subarray(bytes));
    return all.subarray(0, bytes);
  }
}
