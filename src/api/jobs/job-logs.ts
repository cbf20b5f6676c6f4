import { MissedRotationError } from "../../errors/index.ts";
import type { WaitOptions } from "../../host/operation.ts";
import { untilLeft } from "../../host/until-left.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { LogEntry, type LogReadOptions } from "../logs/log-entry.ts";
import { readLogs } from "../logs/read-logs.ts";
import type { JobAttachment } from "./job-attachment.ts";
import { decodeJobCursor } from "./job-cursor.ts";
import { findJob } from "./job-info.ts";

/** What a job has printed. */
export async function readJobLogs(
  control: SandboxControl,
  id: string,
  options: LogReadOptions,
): Promise<LogEntry[]> {
  const { record, sandbox } = await findJob(control, id);
  const { tail, ...others } = options;
  const { session, logFrom, logTo } = record;
  const entries = (await readLogs(sandbox.paths, others)).filter(
    ({ sessionId, position }) =>
      sessionId === session && position > logFrom && position <= (logTo ?? Number.MAX_SAFE_INTEGER),
  );
  if (tail === undefined) return entries;
  return tail === 0 ? [] : entries.slice(-tail);
}

/** What a job prints until it ends, entry by entry. Leaving a loop over it disposes of it; the job goes on. */
export class JobLogStream implements AsyncIterable<LogEntry>, AsyncDisposable {
  readonly #attachment: JobAttachment;
  readonly #job: string;
  readonly #session: number;
  #hasBegun = false;

  /** @internal @param attachment from the beginning */
  constructor(attachment: JobAttachment, job: string, session: number) {
    this.#attachment = attachment;
    this.#job = job;
    this.#session = session;
  }

  /** The next entry; null at the end. @throws MissedRotationError when the log was rotated faster than it was read */
  async recv(options: WaitOptions = {}): Promise<LogEntry | null> {
    for (;;) {
      const event = await this.#attachment.recv(options);
      if (event === null || event.kind === "completed") return null;
      if (event.kind === "output") {
        this.#hasBegun = true;
        const { timestamp, source, data, cursor } = event;
        const { position } = decodeJobCursor(this.#job, cursor);
        return new LogEntry(timestamp, source, this.#session, data, position);
      }
      // What was rotated away before is no news.
      if (!this.#hasBegun) continue;
      throw new MissedRotationError(`${event.bytes} bytes of the job's output cannot be read any more`, {
        hint: "Read more often, or go on: the next entry comes after them.",
      });
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<LogEntry> {
    return untilLeft(
      () => this.recv(),
      () => this[Symbol.asyncDispose](),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#attachment.detach();
  }
}
