import type { Job, JobInfo } from "../../../api/index.ts";
import { checkedSignalNumber } from "../../../config/checks.ts";
import { InvalidConfigError } from "../../../errors/index.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { fieldLines, json, jsonStatus, jsonTime, tableStatus, tableTime } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import type { Text } from "../../output/style.ts";
import { table } from "../../output/table.ts";
import { UsageError } from "../../output/usage-error.ts";
import { parsePositiveDurationMs } from "../../values/duration.ts";
import { formatOption } from "../sandbox/list.ts";

export const jobs = defineCommand({
  name: "jobs",
  summary: "List the jobs of a sandbox, look at one, or do something to it",
  details: `Jobs are commands that nobody holds, started with "msb exec -d" and "msb run -d". Those that run are shown, and the last 256 that have ended, also of a sandbox that has ended. With a JOB all that is known of it is printed; --wait ends with its exit code, 1 where that is not known. What it has printed shows "msb attach --replay all".`,
  examples: [
    "msb jobs demo",
    "msb jobs demo 3f9a1c02 --format json",
    "msb jobs demo 3f9a1c02 --signal TERM --wait",
    "msb jobs -q demo",
  ],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "JOB", required: false, completes: "job" },
  ],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only the ids, one a line", conflicts: ["format"] }),
    signal: value({
      short: "s",
      placeholder: "SIGNAL",
      description: "Send a signal to the job: TERM, SIGINT, 9",
      parse: parseSignal,
    }),
    eof: flag({ description: "End the job's standard input" }),
    wait: flag({ short: "w", description: "Wait for the job's end, and end with its exit code" }),
    timeout: value({
      placeholder: "DURATION",
      description: "With --wait, wait no longer than this: 30s, 5m, 2h. The job goes on",
      parse: parsePositiveDurationMs,
    }),
  },
  run: async ({ options, operands }) => {
    const [name = "", id] = operands;
    const { signal, eof, wait, timeout } = options;
    const acts = signal !== undefined || eof === true || wait === true;
    if (acts && id === undefined) throw new UsageError("--signal, --eof and --wait need a JOB");
    if (acts && (options.quiet === true || options.format !== undefined))
      throw new UsageError("--signal, --eof and --wait print nothing", "Leave out --format and -q");
    if (timeout !== undefined && wait !== true) throw new UsageError("--timeout needs --wait");
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    if (id === undefined) return list(await handle.listJobs(), options);
    const job = await handle.getJob(id);
    if (!acts) return await show(job, options);
    if (eof === true) await job.eof();
    if (signal !== undefined) await job.signal(signal);
    if (wait !== true) return 0;
    return (await job.wait(timeout === undefined ? {} : { timeoutMs: timeout })).code;
  },
});

interface ListOptions {
  readonly format?: string | undefined;
  readonly quiet?: boolean | undefined;
}

function list(found: readonly JobInfo[], { format, quiet }: ListOptions): number {
  if (format === "json") out(json(found.map(jobJson)));
  else if (quiet === true) out(found.map(({ id }) => `${id}\n`).join(""));
  else if (found.length === 0) err("No jobs found.\n");
  else out(table(["JOB", "STATE", "CODE", "STARTED", "COMMAND"], found.map(row)));
  return 0;
}

async function show(job: Job, { format, quiet }: ListOptions): Promise<number> {
  const info = await job.inspect();
  if (format === "json") out(json(jobJson(info)));
  else if (quiet === true) out(`${info.id}\n`);
  else out(fieldLines(fields(info)));
  return 0;
}

function row({ id, state, code, startedAt, command }: JobInfo): Text[] {
  return [
    id,
    tableStatus(state, process.stdout),
    code === null ? "-" : String(code),
    tableTime(startedAt),
    command.join(" "),
  ];
}

function fields(info: JobInfo): [string, Text | string[]][] {
  const { code, signal, timedOut, timeoutMs, user, pid, reason } = info;
  return [
    ["Job", info.id],
    ["State", tableStatus(info.state, process.stdout)],
    ["Command", info.command.join(" ")],
    ["Working directory", info.cwd],
    ["User", user === "" ? "root" : user],
    ["Terminal", info.tty ? "yes" : "no"],
    ["Standard input", info.stdin || info.tty ? "open" : "none"],
    ["Process", pid === null ? [] : String(pid)],
    ["Session", String(info.sessionId)],
    ["Started", tableTime(info.startedAt)],
    ["Ended", tableTime(info.endedAt)],
    ["Exit code", code === null ? [] : String(code)],
    ["Signal", signal === null ? [] : String(signal)],
    ["Time limit", timeoutMs === null ? [] : `${String(timeoutMs)} ms${timedOut ? ", which was over" : ""}`],
    ["Reason", reason ?? []],
  ];
}

function jobJson(info: JobInfo): Record<string, unknown> {
  const { id, state, command, cwd, user, tty, stdin, pid, sessionId, code, signal } = info;
  return {
    ...{ id, state: jsonStatus(state), command, cwd, user, tty, stdin, pid, session_id: sessionId },
    started_at: jsonTime(info.startedAt),
    ended_at: jsonTime(info.endedAt),
    ...{ code, signal, timeout_ms: info.timeoutMs, timed_out: info.timedOut },
    output_bytes: info.outputBytes,
    reason: info.reason,
  };
}

function parseSignal(text: string): number {
  try {
    return checkedSignalNumber("the signal", text);
  } catch (error) {
    if (error instanceof InvalidConfigError) throw new UsageError(`${error.message}.`, error.hint);
    throw error;
  }
}
