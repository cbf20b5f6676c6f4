import { JobNotFoundError, RuntimeError } from "../../errors/index.ts";
import { randomHex } from "../../host/system/entropy.ts";
import type { JobReportMessage, Message, StartJobMessage } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { violation } from "../../protocol/violation.ts";
import { hasEnded, type JobRecord } from "../../store/jobs/job-record.ts";
import type { SuspendedCommand } from "../../store/suspension.ts";
import type { ExecLog } from "../logs/exec-log.ts";
import type { ClientStream, Session } from "../services/session.ts";
import { Job, jobReport, onDisk } from "./job.ts";
import type { JobBook } from "./job-book.ts";

/** So many run at a time. */
const mostRunning = 1000;
/** Of the command so much is kept for whoever looks at it, bytes. */
const mostCommandBytes = 2048;

export interface JobsOptions {
  /** The sandbox's name. */
  readonly name: string;
  readonly book: JobBook;
  readonly log: ExecLog;
}

/** The commands of a running sandbox that nobody holds. */
export class Jobs {
  readonly #options: JobsOptions;
  readonly #live = new Map<string, Job>();

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  /** @param begin its session, with this number @throws RuntimeError for too many */
  start(
    { argv, cwd, user, tty, stdin, timeoutMs, input }: StartJobMessage,
    session: number,
    begin: (client: ClientStream) => Session,
  ): Job {
    const { name } = this.#options;
    if (this.#live.size >= mostRunning) {
      throw new RuntimeError(`${mostRunning} jobs run in sandbox ${name} already`, {
        hint: "Wait for some of them to end, or end them.",
      });
    }
    const record: JobRecord = {
      ...{ id: this.#newId(), state: "starting", command: shortened(argv), cwd, user, tty, pid: 0, session },
      ...{ input: stdin === "pipe" && input === null, startedAt: new Date().toISOString(), endedAt: null },
      ...{ code: null, signal: 0, timeoutMs, timedOut: false, ranMs: 0, printed: 0 },
      ...{ logFrom: this.#options.log.position, logTo: null, endedLog: null, failure: null, lost: null },
    };
    const job = this.#add(record, begin);
    if (input !== null) {
      job.write(Buffer.from(input));
      job.endInput();
    }
    return job;
  }

  /**
   * Goes on with one whose guest was suspended, or copied: with its log where it goes on where that ends, else with what it logs from now on. So
   * one of another sandbox's does, and one that is as it was at a checkpoint.
   */
  adopt(known: JobRecord, begin: (client: ClientStream) => Session): void {
    const { book, log } = this.#options;
    const own = book.get(known.id);
    const logFrom = own?.printed === known.printed ? own.logFrom : log.position;
    this.#add({ ...known, logFrom }, begin);
  }

  /** What was not taken over by now is not there any more. */
  begun(): void {
    const { book, log } = this.#options;
    const endedAt = new Date().toISOString();
    for (const record of [...book.records]) {
      if (this.#live.has(record.id)) continue;
      const logTo = record.logTo ?? log.position;
      if (hasEnded(record)) {
        if (record.logTo === null) book.put({ ...record, logTo });
        continue;
      }
      const lost = "the sandbox ended, and it was not told how the job did";
      book.put({ ...record, state: "lost", lost, endedAt, logTo, endedLog: logTo });
    }
  }

  /** Of a command that is captured: what has to be known to go on with it as a job; null: it is none, or has ended. */
  captured(command: SuspendedCommand): JobRecord | null {
    for (const { record } of this.#live.values())
      if (record.session === command.session && !hasEnded(record)) return record;
    return null;
  }

  hold(): void {
    for (const job of this.#live.values()) job.hold();
  }

  goOn(): void {
    for (const job of this.#live.values()) job.goOn();
  }

  /** The guest is on the disk: what ends now goes on with it. */
  keep(): void {
    for (const job of this.#live.values()) job.keep();
  }

  /** Its sessions were told of the end. Resolves when that is on the disk, if it can be written. */
  async ended(): Promise<void> {
    await Promise.all([...this.#live.values()].map(({ settled }) => settled));
    await this.#options.book.saved().catch(() => undefined);
  }

  /** @throws JobNotFoundError */
  signal(id: string, signal: number): void {
    const job = this.#live.get(id);
    if (job === undefined) this.#record(id);
    else if (signal === 0) job.endInput();
    else job.signal(signal);
  }

  /** Tells of a job for as long as the stream is open. @throws JobNotFoundError; RuntimeError for too many */
  attach(id: string, access: "wait" | "read" | "write", stream: Stream): StreamHandler {
    const job = this.#live.get(id);
    const record = job?.record ?? this.#record(id);
    if (job === undefined || hasEnded(record)) {
      let isOver = false;
      void onDisk(this.#options.book, this.#options.log).then(() => {
        if (isOver) return;
        stream.send(jobReport(record, record.endedLog ?? 0, record.printed));
        stream.send({ type: "Done" });
      });
      return listener(() => {
        isOver = true;
      });
    }
    if (access !== "wait") return job.attach(stream, access === "write");
    const ignore = job.watchEnd((report: JobReportMessage) => {
      stream.send(report);
      stream.send({ type: "Done" });
    });
    return listener(ignore);
  }

  #record(id: string): JobRecord {
    const record = this.#options.book.get(id);
    if (record !== null) return record;
    throw new JobNotFoundError(`sandbox ${this.#options.name} has no job ${JSON.stringify(id)}`, {
      hint: `See its jobs with "msb jobs ${this.#options.name}".`,
    });
  }

  #add(record: JobRecord, begin: (client: ClientStream) => Session): Job {
    const { book, log } = this.#options;
    const job = new Job({ record, book, log, begin });
    this.#live.set(record.id, job);
    void job.settled.then(() => this.#live.delete(record.id));
    return job;
  }

  #newId(): string {
    for (;;) {
      const id = randomHex(4);
      if (this.#options.book.get(id) === null) return id;
    }
  }
}

/** Listens to a stream on which nothing but its end can come. */
function listener(over: () => void): StreamHandler {
  return {
    message: ({ type }: Message) => {
      throw violation(`${type} from one who waits for an end`);
    },
    data: () => {
      throw violation("input from one who waits for an end");
    },
    aborted: over,
    lost: over,
  };
}

function shortened(argv: readonly string[]): string[] {
  const command: string[] = [];
  let left = mostCommandBytes;
  for (const argument of argv) {
    if (left <= 0) {
      command.push("…");
      break;
    }
    command.push(argument.length > left ? `${argument.slice(0, left)}…` : argument);
    left -= argument.length + 1;
  }
  return command;
}
