import { InvalidCursorError } from "../../errors/index.ts";

/** A place in the output of a job. */
export interface JobPlace {
  /** In exec.log: of the first byte that may have what follows. */
  readonly position: number;
  /** How many bytes of output come before it. */
  readonly printed: number;
}

export function encodeJobCursor(job: string, { position, printed }: JobPlace): string {
  return Buffer.from(JSON.stringify({ job, log: position, out: printed })).toString("base64url");
}

/** @throws InvalidCursorError also for one of another job */
export function decodeJobCursor(job: string, cursor: string): JobPlace {
  try {
    const decoded: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (typeof decoded === "object" && decoded !== null && "log" in decoded && "out" in decoded) {
      const { log, out } = decoded;
      if (isCount(log) && isCount(out) && "job" in decoded && decoded.job === job)
        return { position: log, printed: out };
    }
  } catch {
    // Refused below.
  }
  throw new InvalidCursorError(`the cursor is none of job ${job}`, {
    hint: "Pass the cursor of an event of this job as it is.",
  });
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
