import { down, toSupervisor, up, type Area } from "./types.ts";

export const commands = {
  enums: {
    StdinMode: ["null", "pipe"],
    /** Steps of starting a command, in the order in which the agent takes them; interpreter: the one that a script names. */
    SpawnStage: ["request", "user", "pty", "pipe", "fork", "rlimit", "groups", "cwd", "exec", "interpreter"],
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
      fields: {
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
      },
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
  },
} as const satisfies Area;
