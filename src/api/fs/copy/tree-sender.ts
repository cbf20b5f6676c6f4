import type { TreeEvent } from "../../../host/tree/tree.ts";
import {
  encodeData,
  encodeEntry,
  encodeHole,
  encodeLink,
  encodeProblem,
} from "../../../protocol/tree-records.ts";
import type { GuestStream } from "../guest-stream.ts";
import type { VoidedFile } from "./receive-tree.ts";

/** A further name of a file that came before in the same tree. */
export interface LinkEvent {
  readonly type: "link";
  readonly path: Uint8Array;
  /** Path of the file, below the tree's root. */
  readonly target: Uint8Array;
}

/** Records are sent when there are so many bytes of them: a frame's worth. */
const gatheredBytes = 64 * 1024;
/** What is as large is sent as it is, and not gathered. */
const largeBytes = 32 * 1024;

/** Sends the events of a tree as records on a stream that the guest has opened for them. */
export class TreeSender {
  readonly #stream: GuestStream;
  readonly #signal: AbortSignal;
  #gathered: Uint8Array[] = [];
  #bytes = 0;

  constructor(stream: GuestStream, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
  }

  /** Resolves when there is room for more. The bytes are the caller's again then. */
  async send(events: readonly (TreeEvent | LinkEvent | VoidedFile)[]): Promise<void> {
    for (const event of events) {
      switch (event.type) {
        case "entry":
          this.#gather(encodeEntry(event.entry));
          break;
        case "data":
          this.#gather(encodeData(event.bytes.length));
          if (event.bytes.length < largeBytes) this.#gather(Buffer.from(event.bytes));
          else {
            await this.flush();
            await this.#write(event.bytes);
          }
          break;
        case "hole":
          this.#gather(encodeHole(event.length));
          break;
        case "link":
          this.#gather(encodeLink(event.path, event.target));
          break;
        case "void":
          this.#gather(encodeProblem(event.problem));
          break;
      }
      if (this.#bytes >= gatheredBytes) await this.flush();
    }
  }

  /** Sends what is left, and that no more comes. */
  async end(): Promise<void> {
    await this.flush();
    this.#stream.end();
  }

  #gather(bytes: Uint8Array): void {
    this.#gathered.push(bytes);
    this.#bytes += bytes.length;
  }

  /** Sends what was gathered, for a source that is slow. */
  async flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const bytes = Buffer.concat(this.#gathered, this.#bytes);
    this.#gathered = [];
    this.#bytes = 0;
    await this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#stream.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), this.#signal);
  }
}
