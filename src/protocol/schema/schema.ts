/**
 * The one description of every control message that crosses a hop:
 *
 *     client ── unix socket ──▶ supervisor ── virtio-serial ──▶ agent
 *
 * `npm run generate` turns it into `messages.generated.ts` and `agent/src/messages_generated.rs`. Bulk bytes
 * (stdin, stdout, stderr) never pass through these codecs: they are raw frames, see `frame.ts`.
 *
 * A message is encoded as its tag (one byte) followed by its fields in order. Field types:
 *
 * | type         | wire                                       | TypeScript      | Rust        |
 * |--------------|--------------------------------------------|-----------------|-------------|
 * | `u8 u16 u32` | big-endian                                 | `number`        | same        |
 * | `i32`        | big-endian, two's complement               | `number`        | `i32`       |
 * | `u53`        | 8 bytes big-endian, at most 2^53 - 1       | `number`        | `u64`       |
 * | `u64`        | 8 bytes big-endian                         | `bigint`        | `u64`       |
 * | `bool`       | one byte, 0 or 1                           | `boolean`       | `bool`      |
 * | `str`        | u32 length, UTF-8 (invalid UTF-8 is refused)| `string`       | `String`    |
 * | `bytes`      | u32 length, bytes                          | `Uint8Array`    | `Vec<u8>`   |
 * | `{list: T}`  | u32 count, elements                        | `T[]`           | `Vec<T>`    |
 * | `{optional: T}` | one byte 0 or 1, then T                 | `T \| null`     | `Option<T>` |
 * | `{struct: N}`| the fields of struct N                     | interface N     | struct N    |
 * | `{enum: N}`  | one byte, index into the enum              | string union N  | enum N      |
 *
 * A decoder refuses trailing bytes, an unknown tag, an unknown enum index, and a list or string longer than what is left.
 */

export type FieldType =
  | "u8"
  | "u16"
  | "u32"
  | "i32"
  | "u53"
  | "u64"
  | "bool"
  | "str"
  | "bytes"
  | { readonly list: FieldType }
  | { readonly optional: FieldType }
  | { readonly struct: string }
  | { readonly enum: string };

export type Fields = Readonly<Record<string, FieldType>>;

/** Who sends a message to whom. A peer refuses a message whose route is not one it receives on. */
export type Route = "supervisor→agent" | "agent→supervisor" | "client→supervisor" | "supervisor→client";

export interface MessageDefinition {
  /** Never reused for another message while the protocol version stays the same. */
  readonly tag: number;
  readonly routes: readonly Route[];
  readonly doc: string;
  readonly fields: Fields;
}

/** Raised with every incompatible change; both ends of a hop must have the same one. */
export const PROTOCOL_VERSION = 3;

export const enums: Readonly<Record<string, readonly string[]>> = {
  StdinMode: ["null", "pipe"],
  SandboxState: ["starting", "running", "draining", "stopped", "crashed"],
  /** Steps of starting a command, in the order in which the agent takes them. */
  SpawnStage: ["request", "user", "pty", "pipe", "fork", "rlimit", "groups", "cwd", "exec"],
};

export const structs: Readonly<Record<string, Fields>> = {
  Script: { name: "str", content: "bytes" },
  /** `resource` is Linux's RLIMIT_* number; 2^64-1 is RLIM_INFINITY. */
  ResourceLimit: { resource: "u8", soft: "u64", hard: "u64" },
  /** Exactly one of its fields is there: what the guest's `/` is made from. */
  Root: {
    layered: { optional: { struct: "LayeredRoot" } },
    shared: { optional: { struct: "SharedRoot" } },
    disk: { optional: { struct: "DiskFileSystem" } },
  },
  /**
   * A lower that stays as it is and an upper that takes what the guest writes: an ext4 disk, which is grown to the size of
   * its device, or, without `upperSerial`, memory of at most `upperSizeMib`.
   */
  LayeredRoot: {
    lower: { struct: "DiskFileSystem" },
    upperSerial: { optional: "str" },
    upperSizeMib: "u32",
  },
  /** A directory of the host over virtio-9p, written in place. */
  SharedRoot: { tag: "str" },
  /**
   * Block devices are found by the serial number given to QEMU, never by their order. `fsType` as mount(2) wants it; empty =
   * the agent finds out.
   */
  DiskFileSystem: { serial: "str", fsType: "str" },
};

const toAgent = ["supervisor→agent"] as const;
const fromAgent = ["agent→supervisor"] as const;
const toSupervisor = ["client→supervisor"] as const;
const toClient = ["supervisor→client"] as const;
const down = ["client→supervisor", "supervisor→agent"] as const;
const up = ["agent→supervisor", "supervisor→client"] as const;

export const messages: Readonly<Record<string, MessageDefinition>> = {
  // Opening a hop. Stream 0.
  AgentHello: {
    tag: 1,
    routes: fromAgent,
    doc: "The agent's first frame, once it can answer. Nothing is mounted yet.",
    fields: { protocolVersion: "u32", agentVersion: "str", kernelRelease: "str" },
  },
  Seed: {
    tag: 7,
    routes: toAgent,
    doc: "What no two guests may share, mixed into the kernel's pool before anything else (RNDADDENTROPY, RNDRESEEDCRNG). Sent first to every guest: one that was restored from a template has the random pool of all others.",
    fields: { protocolVersion: "u32", entropy: "bytes" },
  },
  Clock: {
    tag: 8,
    routes: toAgent,
    doc: "The time of day, since 1970 in UTC, as it was when this message was written.",
    fields: { seconds: "u53", nanoseconds: "u32" },
  },
  Mount: {
    tag: 9,
    routes: toAgent,
    doc: "Makes the guest's root file system, and mounts the kernel's own in it. Answered by Mounted or BootFailed. A template of an image is saved after it.",
    fields: {
      root: { struct: "Root" },
      tmpSizeMib: "u32",
      /** Likely to be run soon: their files are read into the guest's memory. Those that are not there are passed over. */
      programs: { list: "str" },
    },
  },
  Mounted: { tag: 20, routes: fromAgent, doc: "The answer to Mount.", fields: {} },
  Boot: {
    tag: 2,
    routes: toAgent,
    doc: "Everything else that makes the guest this sandbox and no other. Comes after Seed and Mount; answered by Ready or BootFailed.",
    fields: {
      hostname: "str",
      /** Must be a directory in the guest, else BootFailed with step "workdir"; empty = nothing to check. */
      workdir: "str",
      scripts: { list: { struct: "Script" } },
    },
  },
  Ready: {
    tag: 3,
    routes: fromAgent,
    doc: "The root file system is mounted and commands can be run.",
    fields: {},
  },
  BootFailed: {
    tag: 4,
    routes: fromAgent,
    doc: "The guest could not become the sandbox: the answer to a Seed, Mount or Boot that failed. `step` names what was tried; errno 0 when no system call failed.",
    fields: { step: "str", errno: "i32", message: "str" },
  },
  ClientHello: {
    tag: 5,
    routes: toSupervisor,
    doc: "A client's first frame. A sandboxId other than the supervisor's is answered with Failure code sandboxReplaced.",
    fields: { protocolVersion: "u32", sandboxId: "str" },
  },
  SupervisorHello: {
    tag: 6,
    routes: toClient,
    doc: "The answer to ClientHello.",
    fields: { protocolVersion: "u32", sandboxId: "str", name: "str", state: { enum: "SandboxState" } },
  },

  // Commands. Each on a stream of its own, opened by Exec, ended by ExecExited or ExecFailed.
  Exec: {
    tag: 10,
    routes: down,
    doc: "Opens the stream and starts a command. `env` is the whole environment as KEY=value.",
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
    doc: "The command could not be started. errno 0 when no system call failed. Ends the stream.",
    fields: { stage: { enum: "SpawnStage" }, errno: "i32", message: "str" },
  },
  ExecExited: {
    tag: 13,
    routes: up,
    doc: "The process ended and its stdout and stderr reached their end. signal 0 = it exited with code. Ends the stream.",
    fields: { code: "i32", signal: "u8" },
  },
  StdinEnd: { tag: 14, routes: down, doc: "No more stdin will follow.", fields: {} },
  StdinClosed: {
    tag: 15,
    routes: up,
    doc: "The command closed its stdin: bytes sent from now on are dropped.",
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
  Credit: {
    tag: 18,
    routes: [...down, ...up],
    doc: "The receiver of bulk bytes on this stream can take so many more. Credits add up.",
    fields: { bytes: "u32" },
  },
  Release: {
    tag: 19,
    routes: toSupervisor,
    doc: "The client leaves the command running without it: the stream ends for the client, the command stays.",
    fields: {},
  },

  // Questions with one answer on the same stream.
  Ping: {
    tag: 30,
    routes: down,
    doc: "Answered by Pong. Does not count as activity.",
    fields: { nonce: "u32" },
  },
  Pong: { tag: 31, routes: up, doc: "The answer to Ping.", fields: { nonce: "u32" } },
  StatsRequest: { tag: 32, routes: toAgent, doc: "Answered by Stats.", fields: {} },
  Stats: {
    tag: 33,
    routes: fromAgent,
    doc: "Bytes. Root is the file system that / is on, as statfs reports it.",
    fields: { memoryTotal: "u53", memoryAvailable: "u53", rootTotal: "u53", rootFree: "u53" },
  },
  Shutdown: {
    tag: 34,
    routes: toAgent,
    doc: "The signal to everything, SIGTERM after half of graceMs if it was another one, SIGKILL after graceMs, sync, unmount, power off. Answered by ShuttingDown.",
    fields: { graceMs: "u32", signal: "u8" },
  },
  ShuttingDown: {
    tag: 35,
    routes: fromAgent,
    doc: "Processes are gone and file systems are flushed; the guest powers off next.",
    fields: {},
  },

  // Between client and supervisor. One request a stream, one answer (Done, Failure or its own).
  Touch: { tag: 50, routes: toSupervisor, doc: "Counts as activity. Answered by Touched.", fields: {} },
  Touched: {
    tag: 51,
    routes: toClient,
    doc: "The number of activities so far.",
    fields: { activitySequence: "u53" },
  },
  Detach: {
    tag: 52,
    routes: toSupervisor,
    doc: "The owner gives up ownership. Answered by Done.",
    fields: {},
  },
  Stop: {
    tag: 53,
    routes: toSupervisor,
    doc: "Orderly stop; the VM is killed after graceMs. Answered by Done at once; the end is reported by Ended.",
    fields: { graceMs: "u32" },
  },
  Kill: { tag: 54, routes: toSupervisor, doc: "Ends the VM at once. Answered by Done.", fields: {} },
  Drain: {
    tag: 55,
    routes: toSupervisor,
    doc: "Refuse new commands, stop when the last one ends. Answered by Done.",
    fields: {},
  },
  Wait: { tag: 56, routes: toSupervisor, doc: "Answered by Ended when the sandbox has ended.", fields: {} },
  Ended: {
    tag: 57,
    routes: toClient,
    doc: "The sandbox has ended and its state is on disk. exitCode/signal are QEMU's.",
    fields: {
      state: { enum: "SandboxState" },
      exitCode: { optional: "i32" },
      signal: { optional: "str" },
      reason: "str",
    },
  },
  MetricsRequest: { tag: 58, routes: toSupervisor, doc: "Answered by Metrics.", fields: {} },
  Metrics: {
    tag: 59,
    routes: toClient,
    doc: "One sample. cpuPercentTimes100: 10000 = one full core. Sizes are bytes; totals count from boot.",
    fields: {
      timestampMs: "u53",
      cpuPercentTimes100: "u32",
      vcpuTimeNs: "u53",
      memoryBytes: "u53",
      memoryLimitBytes: "u53",
      memoryAvailableBytes: { optional: "u53" },
      memoryHostResidentBytes: { optional: "u53" },
      diskReadBytes: "u53",
      diskWriteBytes: "u53",
      netRxBytes: "u53",
      netTxBytes: "u53",
      uptimeMs: "u53",
      upperUsedBytes: { optional: "u53" },
      upperFreeBytes: { optional: "u53" },
      upperHostAllocatedBytes: { optional: "u53" },
    },
  },
  Done: { tag: 60, routes: toClient, doc: "The request was carried out.", fields: {} },
  Failure: {
    tag: 61,
    routes: toClient,
    doc: "The request failed. `code` is a MicrosandboxErrorCode; `details` is a JSON object: the error's own `fields`, its `log` and its `cause`.",
    fields: { code: "str", message: "str", hint: "str", details: "str" },
  },

  // Starting, on the owner's connection. Stream 0.
  StartProgress: {
    tag: 70,
    routes: toClient,
    doc: "A stage of starting has begun; elapsedMs counts from the supervisor's own start.",
    fields: { stage: "str", elapsedMs: "u32" },
  },
  Notice: {
    tag: 71,
    routes: toClient,
    doc: "Something the user should be told once, such as a fallback to software emulation.",
    fields: { message: "str" },
  },
  Started: { tag: 72, routes: toClient, doc: "The sandbox is running.", fields: { accelerator: "str" } },
};
