import { JobNotFoundError, RuntimeError, type ExecFailedError } from "../../errors/index.ts";
import { isTerminal, type SandboxStatus } from "../../config/enums.ts";
import type { ExecFailedMessage, JobReportMessage } from "../../protocol/generated/messages.ts";
import { hasEnded, readJobRecords, type JobRecord, type JobState } from "../../store/jobs/job-record.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { execFailedError } from "../exec/exec-failure.ts";

export type { JobState };

/** What is known of a job. */
export interface JobInfo {
  readonly id: string;
  /**
   * `starting`, `running`; `exited`: it has ended, see `code`; `failed`: it could not be started, see `reason`; `lost`: its sandbox ended
   * without telling how the job did, see `reason`. One of a suspended sandbox is `running`: it goes on with that.
   */
  readonly state: JobState;
  /** Its program and arguments; of long ones only the first 2 KiB. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** As it was given; empty: root. */
  readonly user: string;
  readonly tty: boolean;
  /** Whether somebody can write to its standard input, while it runs. */
  readonly stdin: boolean;
  /** In the guest; null when it has not started. */
  readonly pid: number | null;
  /** Its session in the sandbox's log. */
  readonly sessionId: number;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  /** Its exit code, 128 + the signal that ended it; null while it is not known. */
  readonly code: number | null;
  /** The number of the signal that ended it; null: none. */
  readonly signal: number | null;
  /** Its time limit, ms; null: none. */
  readonly timeoutMs: number | null;
  /** Whether it was killed because its time was over. */
  readonly timedOut: boolean;
  /** Bytes that it had printed when it was looked at last: at its start, its end, and when its sandbox was suspended. */
  readonly outputBytes: number;
  /** Why it has failed, or was lost; null: neither. */
  readonly reason: string | null;
}

/** How a job has ended. */
export interface JobResult {
  /** Its exit code, 128 + the signal that ended it. */
  readonly code: number;
  readonly success: boolean;
  /** Whether it was killed because its time was over. */
  readonly timedOut: boolean;
}

/** A job as it is on the disk, and the sandbox as it was before that was read. */
export interface FoundJob {
  readonly record: JobRecord;
  readonly sandbox: FoundSandbox;
}

/** Oldest first. @throws SandboxNotFoundError, SandboxReplacedError, JsonError, IoError */
export async function findJobs(control: SandboxControl): Promise<FoundJob[]> {
  // Asked before reading: what is written before the end is on the disk before the end is.
  const sandbox = await control.find();
  const records = await readJobRecords(sandbox.paths.jobs);
  return records.map((record) => ({ record: asItIs(record, sandbox.status), sandbox }));
}

/** @throws JobNotFoundError; as {@link findJobs} */
export async function findJob(control: SandboxControl, id: string): Promise<FoundJob> {
  const found = (await findJobs(control)).find(({ record }) => record.id === id);
  if (found !== undefined) return found;
  throw new JobNotFoundError(`sandbox ${control.name} has no job ${JSON.stringify(id)}`, {
    hint: `See its jobs with "msb jobs ${control.name}".`,
  });
}

/** Of a sandbox that is down without having said how its jobs ended, they are lost. */
function asItIs(record: JobRecord, status: SandboxStatus): JobRecord {
  if (hasEnded(record) || !isTerminal(status) || status === "suspended") return record;
  return {
    ...record,
    state: "lost",
    lost: `the sandbox is ${status}, and it was not told how the job ended`,
  };
}

/** Why it could not be started; null: it could. */
export function startFailure({ failure, command, cwd }: JobRecord): ExecFailedError | null {
  if (failure === null) return null;
  // As the agent has said it.
  return execFailedError({ type: "ExecFailed", ...failure } as ExecFailedMessage, command[0] ?? "", cwd);
}

export function jobInfo({ record }: FoundJob): JobInfo {
  const { id, state, command, cwd, user, tty, timeoutMs, timedOut } = record;
  return {
    ...{ id, state, command, cwd, user, tty, stdin: record.input },
    pid: record.pid === 0 ? null : record.pid,
    sessionId: record.session,
    startedAt: new Date(record.startedAt),
    endedAt: record.endedAt === null ? null : new Date(record.endedAt),
    code: record.code,
    signal: record.signal === 0 ? null : record.signal,
    ...{ timeoutMs, timedOut },
    outputBytes: record.printed,
    reason: startFailure(record)?.message ?? record.lost,
  };
}

/** @throws RuntimeError for what is no end */
export function resultOf({
  code,
  timedOut,
}: Pick<JobReportMessage | JobRecord, "code" | "timedOut">): JobResult {
  if (code === null) throw new RuntimeError("the job has ended without an exit code");
  return { code, success: code === 0, timedOut };
}
