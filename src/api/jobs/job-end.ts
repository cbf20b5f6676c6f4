import { JobLostError, SandboxNotRunningError } from "../../errors/index.ts";
import { isTerminal } from "../../config/enums.ts";
import type { Operation } from "../../host/operation.ts";
import { hasEnded, type JobRecord } from "../../store/jobs/job-record.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { JobFeed } from "./job-feed.ts";
import { findJob, resultOf, startFailure, type JobResult } from "./job-info.ts";

/** So often what is on the disk is looked at after a supervisor has gone without a word. */
const mostLooks = 12;

/**
 * How a job has ended, whose supervisor is gone without a word.
 *
 * @param lost what is thrown when it goes on after all
 * @throws SandboxNotRunningError when its sandbox was suspended
 */
export async function endOnDisk(
  control: SandboxControl,
  id: string,
  operation: Operation,
  lost: unknown,
): Promise<JobRecord> {
  for (let look = 0; look < mostLooks; look++) {
    const { record, sandbox } = await operation.wait(findJob(control, id));
    if (hasEnded(record)) return record;
    if (isTerminal(sandbox.status)) throw suspended(control.name, id);
    await control.waitForChange(operation);
  }
  throw lost;
}

/**
 * Waits for the end of a job.
 *
 * @throws JobLostError, ExecFailedError; SandboxNotRunningError when its sandbox was suspended
 */
export async function waitForJob(
  control: SandboxControl,
  id: string,
  operation: Operation,
): Promise<JobResult> {
  for (;;) {
    const { record, sandbox } = await operation.wait(findJob(control, id));
    if (hasEnded(record)) return outcome(control.name, record);
    if (isTerminal(sandbox.status)) throw suspended(control.name, id);
    if (sandbox.status === "starting") {
      await control.waitForChange(operation);
      continue;
    }
    let feed: JobFeed | null = null;
    try {
      feed = await JobFeed.open(control, id, "wait", operation);
      const report = await feed.take(operation);
      if (report?.state === "exited") return resultOf(report);
      return outcome(control.name, (await operation.wait(findJob(control, id))).record);
    } catch (error) {
      operation.throwIfOver();
      // It may have ended between the look and the call, or since.
      if (!(error instanceof SandboxNotRunningError) && feed?.isLost !== true) throw error;
      return outcome(control.name, await endOnDisk(control, id, operation, error));
    } finally {
      feed?.leave();
    }
  }
}

/** @throws JobLostError, ExecFailedError */
function outcome(name: string, record: JobRecord): JobResult {
  const { id } = record;
  if (record.state === "exited") return resultOf(record);
  const failure = startFailure(record);
  if (failure !== null) throw failure;
  throw new JobLostError(`job ${id} of sandbox ${name} was lost: ${record.lost ?? "it is not known how"}`, {
    hint: `Look at what it has printed ("msb attach --replay all ${name} ${id}"), and run the command again.`,
  });
}

function suspended(name: string, id: string): SandboxNotRunningError {
  return new SandboxNotRunningError(`sandbox ${name} is suspended, and its job ${id} with it`, {
    hint: `Start it ("msb start ${name}"): the job goes on.`,
  });
}
