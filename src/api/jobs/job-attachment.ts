import { InvalidConfigError, SandboxNotRunningError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { untilLeft } from "../../host/until-left.ts";
import type { JobReportMessage } from "../../protocol/generated/messages.ts";
import { hasEnded, type JobRecord } from "../../store/jobs/job-record.ts";
import type { LogSource } from "../../store/log-format.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { ExecSink } from "../exec/exec-sink.ts";
import { encodeJobCursor, type JobPlace } from "./job-cursor.ts";
import { endOnDisk } from "./job-end.ts";
import { JobFeed } from "./job-feed.ts";
import { findJob } from "./job-info.ts";
import { JobOutput, type JobOutputGap, type JobOutputPiece } from "./job-output.ts";

/** Something that came of a job. */
export type JobEvent =
  | {
      /** It has printed something. */
      readonly kind: "output";
      /** `stdout`, `stderr`; `output` for a job on a terminal. */
      readonly source: LogSource;
      readonly data: Buffer;
      /** When it was logged, by the host's clock. */
      readonly timestamp: Date;
      /** Where to go on after this: `replayAfter` of another attachment. */
      readonly cursor: string;
    }
  | {
      /** It has printed so much that cannot be read: it was rotated away, could not be kept, or is in the log of another sandbox. */
      readonly kind: "gap";
      readonly bytes: number;
      readonly cursor: string;
    }
  | {
      /** It has ended. The last event. */
      readonly kind: "completed";
      readonly state: "exited" | "failed" | "lost";
      /** null for one that has failed or was lost. */
      readonly code: number | null;
      readonly success: boolean;
      readonly timedOut: boolean;
    };

/** Where an attachment begins, given how much the job has printed; null: with what is printed from now on. */
export type AttachFrom = (printed: number) => JobPlace | null;

/**
 * One who follows a job: what it prints, from the sandbox's log, and how it ends. However slowly it is read, the job goes on; what is
 * rotated away meanwhile is told as a gap. Leaving a `for await` loop over it detaches; the job goes on.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("attachment-example").image("localhost/base").replace().create();
 * const job = await sandbox.execDetachedWith("cat", (e) => e.stdinPipe());
 * await using attachment = await job.attach();
 * await attachment.writeStdin("hello");
 * await job.eof();
 * for await (const event of attachment) if (event.kind === "output") console.log(event.data.toString()); // prints hello
 * ```
 */
export class JobAttachment implements AsyncDisposable, AsyncIterable<JobEvent> {
  readonly #control: SandboxControl;
  readonly #record: JobRecord;
  readonly #output: JobOutput;
  /** null: it had ended before. */
  readonly #feed: JobFeed | null;
  /** null: it only reads. */
  readonly #sink: ExecSink | null;
  #ready: (JobOutputPiece | JobOutputGap)[] = [];
  /** How far in the log its output is whole. */
  #upTo: number;
  /** How much it has printed up to there; null: that is not known. */
  #printed: number | null = null;
  #end: Pick<JobReportMessage, "state" | "code" | "timedOut"> | null = null;
  #isOver = false;
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(
    control: SandboxControl,
    { record, path, from }: { readonly record: JobRecord; readonly path: string; readonly from: JobPlace },
    feed: JobFeed | null,
    readOnly: boolean,
  ) {
    this.#control = control;
    this.#record = record;
    this.#output = new JobOutput(path, record.session, from);
    this.#upTo = from.position;
    this.#feed = feed;
    this.#sink = readOnly || feed === null ? null : new ExecSink(feed.stream, record.tty);
    if (feed !== null) feed.onStopped = () => this.#sink?.over();
  }

  /** @internal */
  static async open(
    control: SandboxControl,
    id: string,
    readOnly: boolean,
    begin: AttachFrom,
    operation: Operation,
  ): Promise<JobAttachment> {
    const { record, sandbox } = await operation.wait(findJob(control, id));
    const path = sandbox.paths.execLog;
    if (hasEnded(record)) {
      const from = within(
        record,
        begin(record.printed) ?? { position: endOf(record), printed: record.printed },
      );
      const attachment = new this(control, { record, path, from }, null, readOnly);
      attachment.#finishFrom(record);
      return attachment;
    }
    const feed = await JobFeed.open(control, id, readOnly ? "read" : "write", operation);
    try {
      const first = await feed.take(operation);
      if (first === null) throw new Error("left before it began");
      const from = within(record, begin(first.printed) ?? first);
      const place = { ...from, printed: Math.min(from.printed, first.printed) };
      const attachment = new this(control, { record, path, from: place }, feed, readOnly);
      if (hasEnded(first)) attachment.#report(first);
      else attachment.#upTo = Math.max(first.position, place.position);
      return attachment;
    } catch (error) {
      feed.leave();
      throw error;
    }
  }

  /**
   * The next event; null after the last one, then for ever.
   *
   * @throws SandboxNotRunningError when the sandbox was suspended; RuntimeError when the connection to it was lost
   */
  recv(options: WaitOptions = {}): Promise<JobEvent | null> {
    return Operation.run("wait for an event of the job", options, async (operation) => {
      // Each who waits gets another one.
      const before = this.#reading;
      const next = operation.wait(before).then(() => this.#next(operation));
      this.#reading = Promise.allSettled([before, next]);
      return await next;
    });
  }

  /**
   * Writes bytes, or a string as UTF-8, to the job's standard input. Resolves when they are on their way, which waits while the job does not
   * read. What is written to one that has ended, or has closed its input, is dropped. Given up, what is not on its way yet is dropped.
   *
   * @throws InvalidConfigError for an attachment that only reads, and for a job without an input
   */
  async writeStdin(data: Uint8Array | string, options: WaitOptions = {}): Promise<void> {
    if (!this.#record.input && !this.#record.tty) {
      throw new InvalidConfigError(`job ${this.#record.id} has no standard input to write to`, {
        hint: "Start it with stdinPipe(), or on a terminal.",
      });
    }
    if (this.#sink === null && !hasEnded(this.#record)) throw this.#readsOnly("writes nothing");
    await this.#sink?.write(data, options);
  }

  /** Tells the job that its terminal has another size now. @throws InvalidConfigError for an attachment that only reads; RangeError */
  resize(rows: number, cols: number): Promise<void> {
    for (const value of [rows, cols]) {
      if (!Number.isInteger(value) || value < 0 || value > 0xffff)
        return Promise.reject(new RangeError(`${value} is not a number of rows or columns`));
    }
    if (this.#sink === null && !hasEnded(this.#record))
      return Promise.reject(this.#readsOnly("has no terminal"));
    if (this.#end === null) this.#feed?.stream.send({ type: "Resize", rows, cols });
    return Promise.resolve();
  }

  /** Leaves the job, which goes on. What was written to it by now still reaches it. */
  detach(): Promise<void> {
    this.#isOver = true;
    this.#ready = [];
    this.#feed?.leave();
    return Promise.resolve();
  }

  [Symbol.asyncIterator](): AsyncIterator<JobEvent> {
    return untilLeft(
      () => this.recv(),
      () => this[Symbol.asyncDispose](),
    );
  }

  /** Detaches. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.detach();
  }

  async #next(operation: Operation): Promise<JobEvent | null> {
    for (;;) {
      operation.throwIfOver();
      if (this.#isOver) return null;
      const ready = this.#ready.shift() ?? (await this.#read());
      if (ready !== null) return this.#event(ready);
      if (this.#end !== null) return this.#completed(this.#end);
      await this.#wait(operation);
    }
  }

  async #read(): Promise<JobOutputPiece | JobOutputGap | null> {
    this.#ready = await this.#output.read(this.#upTo);
    return this.#ready.shift() ?? (this.#printed === null ? null : this.#output.missing(this.#printed));
  }

  /** Waits until there is more to read, or it has ended. */
  async #wait(operation: Operation): Promise<void> {
    const feed = this.#feed;
    if (feed === null) return;
    try {
      const report = await feed.take(operation);
      if (report !== null) this.#report(report);
    } catch (error) {
      operation.throwIfOver();
      if (!feed.isLost && !(error instanceof SandboxNotRunningError)) throw error;
      this.#finishFrom(await endOnDisk(this.#control, this.#record.id, operation, error));
    }
  }

  #report(report: JobReportMessage): void {
    this.#upTo = Math.max(this.#upTo, report.position);
    this.#printed = report.printed;
    if (hasEnded(report)) this.#end = report;
  }

  #finishFrom(record: JobRecord): void {
    this.#upTo = endOf(record);
    this.#printed = record.printed;
    this.#end = record;
  }

  #event(found: JobOutputPiece | JobOutputGap): JobEvent {
    const cursor = encodeJobCursor(this.#record.id, found.place);
    if (found.kind === "gap") return { kind: "gap", bytes: found.bytes, cursor };
    const { source, data, timestamp } = found;
    return { kind: "output", source, data, timestamp, cursor };
  }

  #completed({ state, code, timedOut }: Pick<JobReportMessage, "state" | "code" | "timedOut">): JobEvent {
    this.#isOver = true;
    const how = state === "exited" || state === "failed" ? state : "lost";
    return { kind: "completed", state: how, code, success: code === 0, timedOut };
  }

  #readsOnly(what: string): InvalidConfigError {
    return new InvalidConfigError(`this attachment to job ${this.#record.id} only reads: it ${what}`, {
      hint: "Attach without readOnly.",
    });
  }
}

/** Where its output ends in the log, as far as that is known. */
function endOf({ endedLog }: JobRecord): number {
  return endedLog ?? Number.MAX_SAFE_INTEGER;
}

/** Its output begins there. */
function within({ logFrom }: JobRecord, { position, printed }: JobPlace): JobPlace {
  return { position: Math.max(position, logFrom), printed };
}
