import { down, requests, silent, toClient, toSupervisor, up, type Area } from "./types.ts";

/** What a command is. */
const command = {
  argv: { list: "str" },
  env: { list: "str" },
  cwd: "str",
  /** name, uid, user:group, uid:gid or a mix; empty = root. */
  user: "str",
  tty: "bool",
  rows: "u16",
  cols: "u16",
  stdin: { enum: "StdinMode" },
  rlimits: { list: { struct: "ResourceLimit" } },
} as const;

export const commands = {
  enums: {
    StdinMode: ["null", "pipe"],
    /** Steps of starting a command, in the order in which the agent takes them; interpreter: the one that a script names. */
    SpawnStage: ["request", "user", "pty", "pipe", "fork", "rlimit", "groups", "cwd", "exec", "interpreter"],
    /** lost: what became of it was never known. */
    JobState: ["starting", "running", "exited", "failed", "lost"],
    /** wait: to be told of its end; read: of its output too; write: to write to its input besides. */
    JobAccess: ["wait", "read", "write"],
  },
  structs: {
    /** `resource` is Linux's RLIMIT_* number; 2^64-1 is RLIM_INFINITY. */
    ResourceLimit: { resource: "u8", soft: "u64", hard: "u64" },
  },
  messages: {
    Exec: {
      tag: 10,
      routes: down,
      doc: "Starts a command. `env` is the whole environment as KEY=value.",
      fields: command,
    },
    ExecStarted: {
      tag: 11,
      routes: up,
      doc: "The program image was replaced: execve succeeded. sessionId is 0 on the agent's hop.",
      fields: { pid: "u32", sessionId: "u32" },
    },
    ExecFailed: {
      tag: 12,
      routes: up,
      doc: "The command could not be started. errno 0 when no system call failed.",
      fields: { stage: { enum: "SpawnStage" }, errno: "i32", message: "str" },
    },
    ExecExited: {
      tag: 13,
      routes: up,
      doc: "The process ended, and what it had written by then was sent before this. signal 0 = it exited with code. Others may hold its stdout and stderr: what they write follows.",
      fields: { code: "i32", signal: "u8" },
    },
    OutputsEnded: {
      tag: 21,
      routes: up,
      doc: "Comes after ExecExited: nobody holds the command's stdout and stderr any more.",
      fields: {},
    },
    Signal: {
      tag: 16,
      routes: down,
      doc: "Sends a signal to the whole process group.",
      fields: { signal: "u8" },
    },
    Resize: {
      tag: 17,
      routes: down,
      doc: "New size of the command's terminal.",
      fields: { rows: "u16", cols: "u16" },
    },
    Release: {
      tag: 19,
      routes: toSupervisor,
      doc: "The client leaves the command, or those who hold its outputs after its end, without it. Answered by Done.",
      fields: {},
    },
    Unlogged: {
      tag: 22,
      routes: toSupervisor,
      doc: "What the command prints from now on is not written to the log. Sent with Exec, nothing is.",
      fields: {},
    },
    StartJob: {
      tag: 79,
      routes: toSupervisor,
      doc: "Starts a command that nobody holds. input: its whole standard input; none: that stays open. Answered by JobStarted when it is on the disk, or ExecFailed.",
      fields: { ...command, timeoutMs: { optional: "u53" }, input: { optional: "bytes" } },
    },
    JobStarted: {
      tag: 84,
      routes: toClient,
      doc: "It runs, and goes on whatever becomes of its client.",
      fields: { id: "str", pid: "u32" },
    },
    AttachJob: {
      tag: 85,
      routes: toSupervisor,
      doc: "Asks to be told of a job. The first answer is where it is now, unless only its end is waited for.",
      fields: { id: "str", access: { enum: "JobAccess" } },
    },
    JobReport: {
      tag: 88,
      routes: toClient,
      doc: "exec.log up to the position has the job's output up to `printed`, bytes of all its sources. In the first report of one that runs they are where both were at that moment. code: null while it is not known; signal 0: none.",
      fields: {
        position: "u53",
        printed: "u53",
        state: { enum: "JobState" },
        code: { optional: "i32" },
        signal: "u8",
        timedOut: "bool",
      },
    },
    SignalJob: {
      tag: 89,
      routes: toSupervisor,
      doc: "Sends a signal to a job's whole process group, or, as 0, ends its standard input. Answered by Done.",
      fields: { id: "str", signal: "u8" },
    },
  },
  services: {
    command: {
      doc: "A command. Data is its standard input one way, its standard output the other way; extra its standard error. Aborted, its process group is killed.",
      opens: ["Exec"],
      routes: down,
      opener: { messages: ["Signal", "Resize", "Release", "Unlogged"], data: ["data"] },
      acceptor: {
        messages: ["ExecStarted", "ExecExited"],
        data: ["data", "extra"],
        ends: ["OutputsEnded", "ExecFailed", "Done"],
      },
    },
    startJob: {
      doc: "The start of a job. Aborted before its answer, it is killed.",
      opens: ["StartJob"],
      routes: toSupervisor,
      opener: silent,
      acceptor: { ...silent, ends: ["JobStarted", "ExecFailed"] },
    },
    job: {
      doc: "A subscription to a job: after each report the next one when it is asked for and there is more. The one that says how it ended comes unasked, and Done after it. Data is standard input.",
      opens: ["AttachJob"],
      routes: toSupervisor,
      opener: { messages: ["Next", "Resize"], data: ["data"] },
      acceptor: { ...silent, messages: ["JobReport"], ends: ["Done"] },
    },
    signalJob: requests("Something that is done to a job.", toSupervisor, ["SignalJob"], ["Done"]),
  },
} as const satisfies Area;
