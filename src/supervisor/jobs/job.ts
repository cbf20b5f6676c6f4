import { RuntimeError } from "../../errors/index.ts";
import { Deadline } from "../../host/deadline.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import { MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import { FrameKind, type DataKind } from "../../protocol/frame.ts";
import type { ExecFailedMessage, JobReportMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream } from "../../protocol/stream.ts";
import { hasEnded, type JobRecord } from "../../store/jobs/job-record.ts";
import type { ExecLog } from "../logs/exec-log.ts";
import type { ClientStream, Session } from "../services/session.ts";
import { JobAttachment } from "./job-attachment.ts";
import type { JobBook } from "./job-book.ts";

const SIGKILL = 9;
/** Those who are told of a job's output, and write to it. */
const mostAttachments = 64;
/** Of what a guest gives as a reason so many characters are kept. */
const longestReason = 1024;

export interface JobOptions {
  readonly record: JobRecord;
  readonly book: JobBook;
  readonly log: ExecLog;
  /** Begins its session, whose client the job is, or takes one over. */
  readonly begin: (client: ClientStream) => Session;
}

interface Input {
  readonly bytes: Buffer;
  /** Called for bytes that were sent, or dropped. */
  readonly used: (bytes: number) => void;
}

/** How a start came out. */
type Beginning = { readonly failed: ExecFailedMessage | null };

/** A command whose client the supervisor is: it goes on whoever comes and goes. Its output is in exec.log, and nowhere else. */
export class Job implements ClientStream {
  readonly #book: JobBook;
  readonly #log: ExecLog;
  readonly #session: Session;
  readonly #attachments = new Set<JobAttachment>();
  readonly #waiters = new Set<(report: JobReportMessage) => void>();
  readonly #beginning = Promise.withResolvers<Beginning>();
  readonly #settled = Promise.withResolvers<void>();
  readonly #limit: Deadline;
  #record: JobRecord;
  #input: Input[] = [];
  /** No more input comes; or nobody takes any. */
  #inputEnds = false;
  #inputOver = false;
  #isExpired = false;
  #isTelling = false;
  /** From when its time counts, as of `performance.now()`; null while it is held. */
  #countsFrom: number | null = performance.now();
  /** Its guest is on the disk, and it goes on with that. */
  #isKept = false;

  constructor({ record, book, log, begin }: JobOptions) {
    this.#record = record;
    this.#book = book;
    this.#log = log;
    this.#limit = new Deadline(() => {
      this.#isExpired = true;
      this.signal(SIGKILL);
    });
    this.#beginning.promise.catch(() => undefined);
    this.#session = begin(this);
    // One that is taken over may have had its end of input before.
    this.#inputOver ||= this.#session.stdinOver;
    book.put(this.#record);
    if (record.state === "running") this.#armLimit();
  }

  /** As it is now. */
  get record(): JobRecord {
    return { ...this.#record, printed: this.#printed, ranMs: this.#ranMs };
  }

  /** Resolves when nothing more is heard of it. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  get session(): number {
    return this.#record.session;
  }

  /** Resolves when it runs and that is on the disk, or with why it does not. @throws IoError, RuntimeError: then it is killed */
  async started(): Promise<Beginning> {
    const beginning = await this.#beginning.promise;
    try {
      await this.#book.saved();
    } catch (error) {
      this.signal(SIGKILL);
      throw error;
    }
    return beginning;
  }

  signal(signal: number): void {
    if (!hasEnded(this.#record)) this.#session.clientHandler.message({ type: "Signal", signal });
  }

  resize(rows: number, cols: number): void {
    if (!hasEnded(this.#record)) this.#session.clientHandler.message({ type: "Resize", rows, cols });
  }

  /** Its time does not count until {@link goOn}. */
  hold(): void {
    this.#record = { ...this.#record, ranMs: this.#ranMs };
    this.#countsFrom = null;
    this.#limit.cancel();
  }

  goOn(): void {
    this.#countsFrom ??= performance.now();
    if (!hasEnded(this.#record)) this.#armLimit();
  }

  /** Its guest is on the disk: it is not lost when that one's machine ends. */
  keep(): void {
    this.#isKept = true;
    this.#limit.cancel();
    this.#record = this.record;
    this.#book.put(this.#record);
  }

  /** @throws RuntimeError for too many */
  attach(stream: Stream, writes: boolean): JobAttachment {
    if (this.#attachments.size >= mostAttachments) {
      throw new RuntimeError(`${mostAttachments} are attached to job ${this.#record.id} already`, {
        hint: "Detach those that are not needed any more.",
      });
    }
    const attachment = new JobAttachment(stream, writes ? this : null, () =>
      this.#attachments.delete(attachment),
    );
    this.#attachments.add(attachment);
    attachment.begin(this.#report(this.#log.position, this.#printed), this.#log.flush());
    this.#tell();
    return attachment;
  }

  /** Calls back once, when it has ended. @returns stops that */
  watchEnd(ended: (report: JobReportMessage) => void): () => void {
    this.#waiters.add(ended);
    return () => this.#waiters.delete(ended);
  }

  /** Writes to its standard input. @param used called for as many bytes as are sent, or dropped */
  write(bytes: Buffer, used: (bytes: number) => void = () => undefined): void {
    if (this.#inputOver || this.#inputEnds) {
      used(bytes.length);
      return;
    }
    this.#input.push({ bytes, used });
    this.#feed();
  }

  /** Ends its standard input, after what was written to it before. A terminal's has no end. */
  endInput(): void {
    if (this.#record.tty) return;
    this.#inputEnds = true;
    this.#feed();
  }

  /** What the session tells its client. */
  send(message: Message): void {
    switch (message.type) {
      case "ExecStarted":
        this.#change({ state: "running", pid: message.pid });
        this.#armLimit();
        this.#beginning.resolve({ failed: null });
        return;
      case "ExecFailed": {
        const { stage, errno, message: text } = message;
        this.#end({ state: "failed", failure: { stage, errno, message: text.slice(0, longestReason) } });
        this.#beginning.resolve({ failed: message });
        this.#settled.resolve();
        return;
      }
      case "ExecExited": {
        const { code, signal } = message;
        this.#end({ state: "exited", code, signal, timedOut: this.#isExpired && signal === SIGKILL });
        return;
      }
      case "OutputsEnded":
        this.#change({ logTo: this.#log.position });
        this.#settled.resolve();
        return;
      case "Failure":
        this.#lose(decodeFailure(message));
        return;
      default:
    }
  }

  /** Its output is in the log already. */
  sendData(_kind: DataKind, payload: Buffer): void {
    this.#session.clientHandler.credit?.(payload.length);
    if (this.#attachments.size > 0) this.#tell();
  }

  /** There is room for more input. */
  consume(): void {
    this.#feed();
  }

  /** It has closed its standard input. */
  stopSending(): void {
    this.#endOfInput();
  }

  #lose(error: Error): void {
    if (this.#isKept) {
      for (const attachment of this.#attachments) attachment.fail(error);
    } else if (hasEnded(this.#record)) this.#change({ logTo: this.#log.position });
    else this.#end({ state: "lost", lost: error.message.slice(0, longestReason) });
    this.#beginning.reject(error);
    this.#settled.resolve();
  }

  #change(change: Partial<JobRecord>): void {
    this.#record = { ...this.#record, ...change, printed: this.#printed };
    this.#book.put(this.#record);
  }

  #end(end: Partial<JobRecord>): void {
    this.#limit.cancel();
    this.#endOfInput();
    const { position } = this.#log;
    const logTo = end.state === "exited" ? null : position;
    this.#record = this.record;
    this.#countsFrom = null;
    this.#change({ ...end, endedAt: new Date().toISOString(), endedLog: position, logTo });
    const report = this.#report(position, this.#record.printed);
    void onDisk(this.#book, this.#log).then(() => {
      for (const attachment of this.#attachments) attachment.end(report);
      for (const ended of this.#waiters) ended(report);
      this.#waiters.clear();
    });
  }

  /** Tells those who are attached of output once it is in the log. */
  #tell(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    const printed = this.#printed;
    void this.#log.flush().then(() => {
      this.#isTelling = false;
      if (hasEnded(this.#record)) return;
      const report = this.#report(this.#log.position, printed);
      for (const attachment of this.#attachments) attachment.offer(report);
      if (this.#printed > printed && this.#attachments.size > 0) this.#tell();
    });
  }

  #report(position: number, printed: number): JobReportMessage {
    return jobReport(this.#record, position, printed);
  }

  #feed(): void {
    if (this.#inputOver) return;
    const { clientHandler } = this.#session;
    for (let next = this.#input[0]; next !== undefined; next = this.#input[0]) {
      const count = Math.min(this.#session.stdinRoom, MAX_DATA_PAYLOAD, next.bytes.length);
      if (count === 0 && next.bytes.length > 0) return;
      if (count > 0) clientHandler.data(FrameKind.data, next.bytes.subarray(0, count));
      if (count === next.bytes.length) this.#input.shift();
      else this.#input[0] = { bytes: next.bytes.subarray(count), used: next.used };
      next.used(count);
    }
    if (!this.#inputEnds) return;
    clientHandler.ended?.();
    this.#inputOver = true;
  }

  #endOfInput(): void {
    this.#inputOver = true;
    for (const { bytes, used } of this.#input.splice(0)) used(bytes.length);
  }

  #armLimit(): void {
    const { timeoutMs, state } = this.#record;
    if (timeoutMs !== null && state === "running" && this.#countsFrom !== null && !this.#isKept)
      this.#limit.set(Math.max(0, timeoutMs - this.#ranMs));
  }

  get #ranMs(): number {
    const { ranMs } = this.#record;
    return this.#countsFrom === null ? ranMs : ranMs + (performance.now() - this.#countsFrom);
  }

  get #printed(): number {
    // The session may speak while it is made.
    return (this.#session as Session | undefined)?.printed ?? this.#record.printed;
  }
}

/** Whoever is told of an end finds it on the disk, and what was printed: waits for both, unless nothing can be written there. */
export async function onDisk(book: JobBook, log: ExecLog): Promise<void> {
  await Promise.all([book.saved().catch(() => undefined), log.flush()]);
}

/** Where a job is. @param position and printed: see the protocol's JobReport */
export function jobReport(record: JobRecord, position: number, printed: number): JobReportMessage {
  const { state, code, signal, timedOut } = record;
  return { type: "JobReport", position, printed, state, code, signal, timedOut };
}
