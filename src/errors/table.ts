/** Why a command could not be started. */
export const execFailureKinds = [
  "not_found",
  "permission_denied",
  "not_executable",
  "bad_cwd",
  "bad_args",
  "resource_limit",
  "user_setup_failed",
  "out_of_memory",
  "pty_setup_failed",
  "other",
] as const;

/** The parts of starting that can fail. */
export const bootStages = ["mount", "build_vm", "config", "network", "image", "other"] as const;

/** What one field of an error is: a list for one of its words. Bytes cross the wire as base64. */
export type DetailKind =
  "string" | "string?" | "number" | "number?" | "boolean" | "bytes" | readonly string[];

/** One kind of error: the name of its class in `classes.ts`, and the fields that it has beside those of every error. */
export interface ErrorEntry {
  readonly class: string;
  readonly details: Readonly<Record<string, DetailKind>>;
}

/**
 * Every kind of error: `error.code`, its class, its own fields. What is here crosses the wire as itself, in both directions
 * (`protocol/failure.ts`); `?` marks a field that may be null.
 */
export const errorTable = {
  agentUnresponsive: { class: "AgentUnresponsiveError", details: {} },
  bootStart: {
    class: "BootStartError",
    details: {
      sandboxName: "string",
      stage: bootStages,
      errno: "number?",
      consoleTail: "string",
      qemuOutput: "string",
    },
  },
  changesConflict: { class: "ChangesConflictError", details: { conflictCount: "number" } },
  checkpointAlreadyExists: { class: "CheckpointAlreadyExistsError", details: {} },
  checkpointNotFound: { class: "CheckpointNotFoundError", details: {} },
  custom: { class: "CustomError", details: {} },
  execFailed: {
    class: "ExecFailedError",
    details: { kind: execFailureKinds, errno: "number?", errnoName: "string?", stage: "string?" },
  },
  execTimeout: {
    class: "ExecTimeoutError",
    details: { timeoutMs: "number?", stdout: "bytes", stderr: "bytes", truncated: "boolean" },
  },
  http: { class: "HttpError", details: {} },
  image: { class: "ImageError", details: {} },
  imageInUse: { class: "ImageInUseError", details: {} },
  imageNotFound: { class: "ImageNotFoundError", details: {} },
  invalidConfig: { class: "InvalidConfigError", details: {} },
  invalidCursor: { class: "InvalidCursorError", details: {} },
  io: { class: "IoError", details: {} },
  jobLost: { class: "JobLostError", details: {} },
  jobNotFound: { class: "JobNotFoundError", details: {} },
  json: { class: "JsonError", details: {} },
  libkrunfwNotFound: { class: "LibkrunfwNotFoundError", details: {} },
  metricsDisabled: { class: "MetricsDisabledError", details: {} },
  metricsUnavailable: { class: "MetricsUnavailableError", details: {} },
  missedRotation: { class: "MissedRotationError", details: {} },
  noDefaultCommand: { class: "NoDefaultCommandError", details: {} },
  operationTimeout: {
    class: "OperationTimeoutError",
    details: { operation: "string", timeoutMs: "number" },
  },
  outputTooLong: { class: "OutputTooLongError", details: {} },
  /** `kind` and `path` are those of the patch. */
  patchFailed: {
    class: "PatchFailedError",
    details: { kind: "string", path: "string", errno: "number?" },
  },
  partialCopy: { class: "PartialCopyError", details: { refusedCount: "number" } },
  poolAlreadyExists: { class: "PoolAlreadyExistsError", details: {} },
  poolNotFound: { class: "PoolNotFoundError", details: {} },
  protocol: { class: "ProtocolError", details: {} },
  qemuNotFound: { class: "QemuNotFoundError", details: {} },
  runtime: { class: "RuntimeError", details: {} },
  sandboxAlreadyExists: { class: "SandboxAlreadyExistsError", details: {} },
  sandboxFs: {
    class: "SandboxFsError",
    details: { operation: "string", path: "string", errno: "number?", errnoName: "string?" },
  },
  sandboxNotFound: { class: "SandboxNotFoundError", details: {} },
  sandboxNotRunning: { class: "SandboxNotRunningError", details: {} },
  sandboxPaused: { class: "SandboxPausedError", details: {} },
  sandboxReplaced: { class: "SandboxReplacedError", details: {} },
  sandboxStillRunning: { class: "SandboxStillRunningError", details: {} },
  snapshotAlreadyExists: { class: "SnapshotAlreadyExistsError", details: {} },
  snapshotImageMissing: { class: "SnapshotImageMissingError", details: {} },
  snapshotIncompatible: { class: "SnapshotIncompatibleError", details: {} },
  snapshotIntegrity: { class: "SnapshotIntegrityError", details: {} },
  snapshotNotFound: { class: "SnapshotNotFoundError", details: {} },
  snapshotSandboxRunning: { class: "SnapshotSandboxRunningError", details: {} },
  terminal: { class: "TerminalError", details: {} },
  unsupported: { class: "UnsupportedError", details: {} },
  unsupportedOperation: { class: "UnsupportedOperationError", details: {} },
  volumeAlreadyExists: { class: "VolumeAlreadyExistsError", details: {} },
  volumeNotFound: { class: "VolumeNotFoundError", details: {} },
} as const satisfies Readonly<Record<string, ErrorEntry>>;

/** Every error code this package can report, as in `error.code`. */
export type MicrosandboxErrorCode = keyof typeof errorTable;

type DetailValue<K> = K extends readonly (infer Word)[]
  ? Word
  : K extends "string"
    ? string
    : K extends "string?"
      ? string | null
      : K extends "number"
        ? number
        : K extends "number?"
          ? number | null
          : K extends "boolean"
            ? boolean
            : Buffer;

/** The own fields of an error with this code. */
export type ErrorDetails<C extends MicrosandboxErrorCode> = {
  readonly [F in keyof (typeof errorTable)[C]["details"]]: DetailValue<(typeof errorTable)[C]["details"][F]>;
};
