import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { JsonError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";

/** Of a job that has ended nothing is written any more. */
export const jobStates = ["starting", "running", "exited", "failed", "lost"] as const;
export type JobState = (typeof jobStates)[number];

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** What is known of a command that nobody holds. */
export const jobRecordSchema = v.object({
  id: v.string(),
  state: v.picklist(jobStates),
  /** Its program and arguments; of long ones only the beginning. */
  command: v.array(v.string()),
  cwd: v.string(),
  /** Empty: root. */
  user: v.string(),
  tty: v.boolean(),
  /** Whether its standard input is a pipe or a terminal, so that somebody can write to it. */
  input: v.boolean(),
  /** In the guest; 0 until it has started. */
  pid: count,
  /** Of its session, as in exec.log. */
  session: count,
  /** RFC 3339. */
  startedAt: v.string(),
  endedAt: v.nullable(v.string()),
  /** How it ended; null while that is not known. */
  code: v.nullable(v.number()),
  /** The signal that ended it; 0: none. */
  signal: count,
  timeoutMs: v.nullable(count),
  timedOut: v.boolean(),
  /** For how long it had run when its guest was captured last, ms. Its time limit goes on from there. */
  ranMs: v.number(),
  /** Bytes that it, or others who hold its outputs, have printed. What of them is in exec.log is said there. */
  printed: count,
  /** Positions in exec.log: its output is after the first and before the last, as far as that is known. */
  logFrom: count,
  logTo: v.nullable(count),
  /** Where the log was when it ended. */
  endedLog: v.nullable(count),
  /** Why it could not be started, as the guest has said. */
  failure: v.nullable(v.object({ stage: v.string(), errno: v.number(), message: v.string() })),
  /** Why it is not known how it ended; null: it is. */
  lost: v.nullable(v.string()),
});

export type JobRecord = v.InferOutput<typeof jobRecordSchema>;

const bookSchema = v.object({ format: v.literal(1), jobs: v.array(jobRecordSchema) });

/** Whether nothing more becomes of it. */
export function hasEnded({ state }: Pick<JobRecord, "state">): boolean {
  return state !== "starting" && state !== "running";
}

/** Oldest first. @returns none where there have never been any @throws JsonError, IoError */
export async function readJobRecords(path: string): Promise<JobRecord[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`read ${path}`, error);
  }
  try {
    return v.parse(bookSchema, JSON.parse(text)).jobs;
  } catch (error) {
    throw new JsonError(`${path} is damaged`, {
      cause: error,
      hint: "Remove it: what is known of the sandbox's jobs is lost then.",
    });
  }
}

export function jobRecordsText(jobs: readonly JobRecord[]): string {
  return `${JSON.stringify({ format: 1, jobs })}\n`;
}
