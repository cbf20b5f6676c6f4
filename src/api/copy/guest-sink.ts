import { ProtocolError } from "../../errors/index.ts";
import { encodeData, encodeEntry, encodeHole, encodeLink } from "../../protocol/tree-records.ts";
import type { GuestFiles } from "../fs/guest-files.ts";
import type { GuestPath } from "../fs/guest-path.ts";
import type { GuestStream } from "../fs/guest-stream.ts";
import type { ArchiveEvent } from "./archive/archive-reader.ts";
import type { CopyProblems, CopySink } from "./copy-end.ts";
import { problemOf } from "./guest-source.ts";

/** Records are sent when there are so many bytes of them: a frame's worth. */
const gatheredBytes = 64 * 1024;
/** What is as large is sent as it is, and not gathered. */
const largeBytes = 32 * 1024;

/** A place in a guest. What is to be there is written aside by the agent, which holds the directories on the way. */
export class GuestSink implements CopySink<ArchiveEvent> {
  readonly #files: GuestFiles;
  readonly #stream: GuestStream;
  readonly #signal: AbortSignal;
  #gathered: Uint8Array[] = [];
  #bytes = 0;

  private constructor(files: GuestFiles, stream: GuestStream, signal: AbortSignal) {
    this.#files = files;
    this.#stream = stream;
    this.#signal = signal;
  }

  /**
   * @param path what the tree's root becomes; the directory above must be there
   * @param keepOwners as the tree has them, else everything is root's
   * @throws SandboxFsError
   */
  static async open(
    files: GuestFiles,
    path: GuestPath,
    keepOwners: boolean,
    signal: AbortSignal,
  ): Promise<GuestSink> {
    return await files.open("copy to", path, { signal }, async (call) => {
      const kept = { keepMode: true, keepTimes: true, keepOwner: keepOwners };
      const stream = await files.stream(call, { type: "TreeReceive", path: call.path, ...kept });
      try {
        await stream.opened(call.operation.signal);
      } catch (error) {
        stream.abort(error as Error);
        throw error;
      }
      return new GuestSink(files, stream, signal);
    });
  }

  async write(events: readonly ArchiveEvent[]): Promise<void> {
    for (const event of events) {
      switch (event.type) {
        case "entry":
          this.#gather(encodeEntry(event.entry));
          break;
        case "data":
          this.#gather(encodeData(event.bytes.length));
          if (event.bytes.length < largeBytes) this.#gather(event.bytes);
          else {
            await this.#send();
            await this.#write(event.bytes);
          }
          break;
        case "hole":
          this.#gather(encodeHole(event.length));
          break;
        case "link":
          this.#gather(encodeLink(event.path, event.target));
          break;
      }
      if (this.#bytes >= gatheredBytes) await this.#send();
    }
  }

  async finish(): Promise<CopyProblems> {
    await this.#send();
    this.#stream.end();
    const done = await this.#files.control.explainLoss(this.#stream.finished(this.#signal));
    if (done.type !== "TreeDone") throw new ProtocolError(`the guest ended a tree with ${done.type}`);
    return { problems: done.problems.map(problemOf), count: done.problemCount };
  }

  abort(reason: Error): Promise<void> {
    this.#stream.abort(reason);
    return Promise.resolve();
  }

  #gather(bytes: Uint8Array): void {
    this.#gathered.push(bytes);
    this.#bytes += bytes.length;
  }

  async #send(): Promise<void> {
    if (this.#bytes === 0) return;
    const bytes = Buffer.concat(this.#gathered, this.#bytes);
    this.#gathered = [];
    this.#bytes = 0;
    await this.#write(bytes);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    await this.#files.control.explainLoss(this.#stream.write(buffer, this.#signal));
  }
}
