import { InvalidConfigError } from "../../errors/index.ts";
import { shown } from "../../config/checks.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { checkLogOptions, logReadOptions, type LogEntry, type LogReadOptions } from "../logs/log-entry.ts";
import { decodeJobCursor } from "./job-cursor.ts";
import { JobAttachment, type AttachFrom } from "./job-attachment.ts";
import { waitForJob } from "./job-end.ts";
import { findJob, jobInfo, type JobInfo, type JobResult } from "./job-info.ts";
import { JobLogStream, readJobLogs } from "./job-logs.ts";

const SIGKILL = 9;

/** How to attach to a job. */
export interface JobAttachOptions {
  /** Whether it can only read: nothing is written to the job, and its terminal stays as it is. */
  readonly readOnly?: boolean;
  /** Begins with so many of the bytes that it has printed last, as far as they are in the log; Infinity for all. By default with none. */
  readonly replayRecent?: number;
  /** Begins after the event with this cursor. Not together with `replayRecent`. */
  readonly replayAfter?: string;
}

/** Its keys. */
export const jobAttachOptions = { readOnly: "boolean", replayRecent: "any", replayAfter: "any" } as const;

/**
 * A command that nobody holds: it outlives whoever has started it, ends with its sandbox, and is never run again. What it prints goes to the
 * sandbox's log. Made by `sandbox.execDetached()`, and found again by `getJob()` and `listJobs()`.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("job-example").image("localhost/base").replace().create();
 * const { id } = await sandbox.execDetached("sh", ["-c", "echo working; exit 3"]);
 *
 * // Another program, or this one later:
 * const job = await (await Sandbox.get("job-example")).getJob(id);
 * console.log((await job.wait()).code); // prints 3
 * console.log((await job.logs())[0]?.text().trim()); // prints working
 * ```
 */
export class Job {
  /** Eight hexadecimal digits. */
  readonly id: string;
  readonly #control: SandboxControl;

  /** @internal */
  constructor(control: SandboxControl, id: string) {
    this.#control = control;
    this.id = id;
  }

  /** What is known of it, whether the sandbox runs or not. @throws JobNotFoundError, SandboxNotFoundError, IoError */
  async inspect(options: WaitOptions = {}): Promise<JobInfo> {
    return await this.#run("look at", options, async (operation) =>
      jobInfo(await operation.wait(findJob(this.#control, this.id))),
    );
  }

  /**
   * Waits for its end. Given up, the job goes on.
   *
   * @throws JobLostError; ExecFailedError when it could not be started; SandboxNotRunningError when the sandbox is suspended; JobNotFoundError
   */
  async wait(options: WaitOptions = {}): Promise<JobResult> {
    return await this.#run("wait for", options, (operation) => waitForJob(this.#control, this.id, operation));
  }

  /**
   * Sends a signal, by its Linux number, to its whole process group. To one that has ended nothing is sent.
   *
   * @throws SandboxNotRunningError, SandboxPausedError, JobNotFoundError, RangeError
   */
  async signal(signal: number, options: WaitOptions = {}): Promise<void> {
    if (!Number.isInteger(signal) || signal < 1 || signal > 64)
      throw new RangeError(`${signal} is not the number of a signal`);
    await this.#run("send a signal to", options, (operation) => this.#signal(operation, signal));
  }

  /** Kills its whole process group. @throws as {@link signal} */
  async kill(options: WaitOptions = {}): Promise<void> {
    await this.#run("kill", options, (operation) => this.#signal(operation, SIGKILL));
  }

  /**
   * Ends its standard input, after all that was written to it by then. On a terminal this does nothing: write 0x04 (Ctrl-D) there.
   *
   * @throws as {@link signal}
   */
  async eof(options: WaitOptions = {}): Promise<void> {
    await this.#run("end the input of", options, (operation) => this.#signal(operation, 0));
  }

  /**
   * What it has printed, as far as that is still logged; with what others print who hold its outputs after its end.
   *
   * @throws JobNotFoundError, InvalidConfigError, IoError
   */
  async logs(options: LogReadOptions & WaitOptions = {}): Promise<LogEntry[]> {
    const read = (operation: Operation): Promise<LogEntry[]> => {
      checkLogOptions(options);
      return operation.wait(readJobLogs(this.#control, this.id, options));
    };
    return await this.#run("read the logs of", options, read, logReadOptions);
  }

  /**
   * What it prints until it ends, entry by entry, from the oldest that is still logged.
   *
   * @throws as {@link attach}
   */
  async followLogs(options: WaitOptions = {}): Promise<JobLogStream> {
    const everything: AttachFrom = () => ({ position: 0, printed: 0 });
    return await this.#run("follow the logs of", options, async (operation) => {
      const { record } = await operation.wait(findJob(this.#control, this.id));
      const attachment = await JobAttachment.open(this.#control, this.id, true, everything, operation);
      return new JobLogStream(attachment, this.id, record.session);
    });
  }

  /**
   * Follows it: its output, its end, and, unless `readOnly`, its standard input. Several can be attached at a time. To one that has ended this
   * works too, also after the end of its sandbox: there is its output, as far as it is asked for, and its end.
   *
   * @throws InvalidConfigError, InvalidCursorError, JobNotFoundError; RuntimeError when 64 are attached; SandboxPausedError
   */
  async attach(options: JobAttachOptions & WaitOptions = {}): Promise<JobAttachment> {
    const attach = (operation: Operation): Promise<JobAttachment> =>
      JobAttachment.open(
        this.#control,
        this.id,
        options.readOnly === true,
        this.#beginning(options),
        operation,
      );
    return await this.#run("attach to", options, attach, jobAttachOptions);
  }

  /** @throws InvalidConfigError, InvalidCursorError */
  #beginning({ replayRecent = 0, replayAfter }: JobAttachOptions): AttachFrom {
    if (typeof replayRecent !== "number" || !(replayRecent >= 0))
      throw new InvalidConfigError(`replayRecent is ${shown(replayRecent)}, which is no number of bytes`);
    if (replayAfter === undefined) {
      if (replayRecent === 0) return () => null;
      return (printed) => ({ position: 0, printed: Math.max(0, printed - Math.floor(replayRecent)) });
    }
    if (replayRecent > 0)
      throw new InvalidConfigError("replayRecent and replayAfter exclude each other", {
        hint: "Give one of them.",
      });
    const place = decodeJobCursor(this.id, replayAfter);
    return () => place;
  }

  async #signal(operation: Operation, signal: number): Promise<void> {
    await this.#control.request(operation, { type: "SignalJob", id: this.id, signal }, "Done");
  }

  #run<T>(
    what: string,
    options: WaitOptions,
    work: (operation: Operation) => Promise<T>,
    others?: Parameters<SandboxControl["run"]>[3],
  ): Promise<T> {
    return this.#control.run(`${what} job ${this.id} of sandbox`, options, work, others);
  }
}
