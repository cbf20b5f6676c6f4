import { encodeFailure } from "../../protocol/failure.ts";
import type { DataKind } from "../../protocol/frame.ts";
import type { JobReportMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { violation } from "../../protocol/violation.ts";

/** What an attachment may do to its job. */
export interface AttachedJob {
  write(bytes: Buffer, used: (bytes: number) => void): void;
  endInput(): void;
  resize(rows: number, cols: number): void;
}

/**
 * Somebody who is told of a job's output, and writes to its input. What he is told is how far he may read in the log: so however slow he is, he
 * costs the supervisor nothing, and what is rotated away before he reads it he misses.
 */
export class JobAttachment implements StreamHandler {
  readonly #stream: Stream;
  readonly #job: AttachedJob | null;
  readonly #over: () => void;
  #isWanted = false;
  #isOver = false;
  /** The newest, if it was not sent. */
  #report: JobReportMessage | null = null;
  /** Bytes of output that he has been told of. */
  #told = 0;

  /** @param job null for one who only reads @param over called once, when nobody listens any more */
  constructor(stream: Stream, job: AttachedJob | null, over: () => void) {
    this.#stream = stream;
    this.#job = job;
    this.#over = over;
  }

  /**
   * Says where the job is when it begins.
   *
   * @param logged resolves when that much can be read: whoever has read less than he was told of would not be told of the rest
   */
  begin(report: JobReportMessage, logged: Promise<void>): void {
    this.#told = report.printed;
    void logged.then(() => {
      if (!this.#isOver) this.#stream.send(report);
    });
  }

  /** There is more in the log. */
  offer(report: JobReportMessage): void {
    if (this.#isOver) return;
    this.#report = report;
    this.#go();
  }

  /** The last word. */
  end(report: JobReportMessage): void {
    if (this.#isOver) return;
    this.#stream.send(report);
    this.#stream.send({ type: "Done" });
    this.#end();
  }

  fail(error: Error): void {
    if (this.#isOver) return;
    this.#stream.send(encodeFailure(error));
    this.#end();
  }

  message(message: Message): void {
    if (message.type === "Resize") {
      this.#writable("Resize").resize(message.rows, message.cols);
      return;
    }
    if (this.#isWanted) throw violation(`out of turn: ${message.type} twice`);
    this.#isWanted = true;
    this.#go();
  }

  data(_kind: DataKind, payload: Buffer): void {
    this.#writable("input").write(Buffer.from(payload), (bytes) => {
      this.#stream.consume(bytes);
    });
  }

  ended(): void {
    this.#writable("an end of input").endInput();
  }

  aborted(): void {
    this.#end();
  }

  lost(): void {
    this.#end();
  }

  #writable(what: string): AttachedJob {
    if (this.#job === null) throw violation(`${what} from one who only reads`);
    return this.#job;
  }

  #go(): void {
    const report = this.#report;
    if (!this.#isWanted || report === null || report.printed <= this.#told) return;
    this.#isWanted = false;
    this.#report = null;
    this.#told = report.printed;
    this.#stream.send(report);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#over();
  }
}
