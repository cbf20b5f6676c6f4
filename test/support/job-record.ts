import type { JobRecord } from "../../src/store/jobs/job-record.ts";

/** A job that runs, but for what is said. */
export function jobRecord(id: string, change: Partial<JobRecord> = {}): JobRecord {
  return {
    ...{ id, state: "running", command: ["true"], cwd: "/", user: "", tty: false, input: true, pid: 7 },
    ...{ session: 1, startedAt: "2026-01-01T00:00:00.000Z", endedAt: null, code: null, signal: 0 },
    ...{ timeoutMs: null, timedOut: false, ranMs: 0, printed: 0, logFrom: 0, logTo: null, endedLog: null },
    ...{ failure: null, lost: null },
    ...change,
  };
}
