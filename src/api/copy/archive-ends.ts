import type { Readable } from "node:stream";
import { ArchiveReader, type ArchiveEvent } from "./archive/archive-reader.ts";
import { ArchiveWriter, type WriteBytes } from "./archive/archive-writer.ts";
import type { CopyEvent, CopySink, CopySource } from "./copy-end.ts";
import type { CopyProblems } from "./copy-problem.ts";

/** A tar archive that is read. */
export class ArchiveSource implements CopySource {
  readonly #stream: Readable;
  readonly #reader = new ArchiveReader();

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  get problems(): CopyProblems {
    return this.#reader.problems;
  }

  async *read(signal: AbortSignal): AsyncGenerator<readonly ArchiveEvent[], void, undefined> {
    const stop = (): void => void this.#stream.destroy(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      yield* this.#reader.read(this.#stream);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
}

/** A tar archive that is written. */
export class ArchiveSink implements CopySink {
  readonly #writer: ArchiveWriter;

  /** @param root name of the tree's root in the archive */
  constructor(write: WriteBytes, root: string) {
    this.#writer = new ArchiveWriter(write, root);
  }

  async write(events: readonly CopyEvent[]): Promise<void> {
    await this.#writer.write(events);
  }

  async finish(): Promise<CopyProblems> {
    await this.#writer.finish();
    return this.#writer.problems;
  }

  /** What was written stays without the archive's end, so whoever reads it sees that it is not whole. */
  abort(): Promise<void> {
    return Promise.resolve();
  }
}
