import { MicrosandboxError, type ErrorOptionsWithHint } from "./base.ts";
import type { bootStages, ErrorDetails, execFailureKinds, MicrosandboxErrorCode } from "./table.ts";

/** A file or socket operation on the host failed. `cause` is the system's error. */
export class IoError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("io", message, options);
  }
}

/** The guest stands still: its agent, which was asked, has not answered for so long that it is not going to. */
export class AgentUnresponsiveError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("agentUnresponsive", message, options);
  }
}

/** A call took longer than its caller allowed with `timeoutMs`. */
export class OperationTimeoutError extends MicrosandboxError {
  /** What was asked for, in a few words. */
  readonly operation: string;
  readonly timeoutMs: number;

  constructor(message: string, details: ErrorDetails<"operationTimeout">, options?: ErrorOptionsWithHint) {
    super("operationTimeout", message, options, details);
    this.operation = details.operation;
    this.timeoutMs = details.timeoutMs;
  }
}

/** An option, a name, a setting or `config.json` is not valid. Nothing was created. */
export class InvalidConfigError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("invalidConfig", message, options);
  }
}

/** How a job ended is not known: its sandbox, or what ran it, ended first. */
export class JobLostError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("jobLost", message, options);
  }
}

/** There is no such job in this sandbox, or it ended so long ago that it was forgotten. */
export class JobNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("jobNotFound", message, options);
  }
}

/** A file of the sandbox's state is not the JSON it should be. */
export class JsonError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("json", message, options);
  }
}

/** The image cannot be had. */
export class ImageError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("image", message, options);
  }
}

/** No image is stored under this reference. */
export class ImageNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("imageNotFound", message, options);
  }
}

/** A sandbox needs the image. */
export class ImageInUseError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("imageInUse", message, options);
  }
}

/** A registry could not be reached, or did not answer as HTTP asks for. */
export class HttpError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("http", message, options);
  }
}

/** QEMU is not installed, or too old. */
export class QemuNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("qemuNotFound", message, options);
  }
}

/**
 * The guest kernel or the files that go with it are missing or unreadable. The name is the one that programs written for
 * microsandbox know: there libkrunfw is the library that carries the kernel.
 */
export class LibkrunfwNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("libkrunfwNotFound", message, options);
  }
}

/** No sandbox has this name. */
export class SandboxNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("sandboxNotFound", message, options);
  }
}

/** The operation needs a stopped sandbox. */
export class SandboxStillRunningError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("sandboxStillRunning", message, options);
  }
}

/** The sandbox's process or its connection failed. */
export class RuntimeError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("runtime", message, options);
  }
}

/** The operation needs a running sandbox. */
export class SandboxNotRunningError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("sandboxNotRunning", message, options);
  }
}

/** The operation needs the guest, which is paused. */
export class SandboxPausedError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("sandboxPaused", message, options);
  }
}

/** The handle's sandbox is gone and another one has its name. */
export class SandboxReplacedError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("sandboxReplaced", message, options);
  }
}

/** A peer sent something that the protocol does not allow, or speaks another version of it. */
export class ProtocolError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("protocol", message, options);
  }
}

/** The call needs a terminal and there is none, or the terminal refused raw mode. */
export class TerminalError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("terminal", message, options);
  }
}

/** What failed has no class of its own. */
export class CustomError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint, code: MicrosandboxErrorCode = "custom") {
    super(code, message, options);
  }
}

/** The name belongs to a sandbox already. X */
export class SandboxAlreadyExistsError extends CustomError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super(message, options, "sandboxAlreadyExists");
  }
}

/** This version cannot do what was asked. */
export class UnsupportedOperationError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("unsupportedOperation", message, options);
  }
}

/** Neither the sandbox nor its image says what to run. */
export class NoDefaultCommandError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("noDefaultCommand", message, options);
  }
}

/** The sandbox was created without metrics. */
export class MetricsDisabledError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("metricsDisabled", message, options);
  }
}

/** The sandbox runs but no sample could be taken. */
export class MetricsUnavailableError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("metricsUnavailable", message, options);
  }
}

/** A follower of a log was slower than its rotation: entries are lost to it. */
export class MissedRotationError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("missedRotation", message, options);
  }
}

/** A cursor is damaged or belongs to something else. */
export class InvalidCursorError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("invalidCursor", message, options);
  }
}

/** What a command printed is longer than a string of this Node can be. Its bytes are there. */
export class OutputTooLongError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("outputTooLong", message, options);
  }

  /** @internal Bytes as UTF-8; those that are none are replaced by U+FFFD. */
  static textOf(bytes: Buffer, what: string): string {
    try {
      return bytes.toString("utf8");
    } catch (error) {
      throw new this(`${what} has ${bytes.length} bytes, which is longer than a string can be`, {
        cause: error,
        hint: "Take its bytes (stdoutBytes(), stderrBytes()), or stream the output.",
      });
    }
  }
}

/**
 * A command ran longer than its timeout and was killed. What it had printed until then and was gathered for the caller is
 * here; a caller that streams has it already.
 */
export class ExecTimeoutError extends MicrosandboxError {
  readonly timeoutMs: number | null;
  /** It had printed more than is here: than the `maxOutput` of the call. */
  readonly truncated: boolean;
  readonly #stdout: Buffer;
  readonly #stderr: Buffer;

  constructor(message: string, details: ErrorDetails<"execTimeout">, options?: ErrorOptionsWithHint) {
    super("execTimeout", message, options, details);
    this.timeoutMs = details.timeoutMs;
    this.truncated = details.truncated;
    this.#stdout = details.stdout;
    this.#stderr = details.stderr;
  }

  /** Standard output as UTF-8; bytes that are none are replaced by U+FFFD. @throws OutputTooLongError */
  stdout(): string {
    return OutputTooLongError.textOf(this.#stdout, "standard output");
  }

  /** Standard error as UTF-8; bytes that are none are replaced by U+FFFD. @throws OutputTooLongError */
  stderr(): string {
    return OutputTooLongError.textOf(this.#stderr, "standard error");
  }

  stdoutBytes(): Buffer {
    return this.#stdout;
  }

  stderrBytes(): Buffer {
    return this.#stderr;
  }
}

export interface PatchFailure {
  /** Of the patch, such as `copyDir`. */
  readonly kind: string;
  /** What it was to change in the guest. */
  readonly path: string;
  /** Linux errno, null when no system call failed. */
  readonly errno: number | null;
}

/** A patch of the root file system could not be applied: there is no sandbox. */
export class PatchFailedError extends MicrosandboxError implements PatchFailure {
  readonly kind: string;
  readonly path: string;
  readonly errno: number | null;

  constructor(message: string, failure: PatchFailure, options?: ErrorOptionsWithHint) {
    super("patchFailed", message, options, failure);
    this.kind = failure.kind;
    this.path = failure.path;
    this.errno = failure.errno;
  }
}

export interface FsFailure {
  /** The step that failed, such as `open`. */
  readonly operation: string;
  /** In the guest or the volume; bytes that are no UTF-8 are replaced by U+FFFD. */
  readonly path: string;
  /** Linux errno, null when no system call failed. */
  readonly errno: number | null;
  /** Such as `ENOENT`. */
  readonly errnoName: string | null;
}

/** An operation on files of a sandbox failed, or a path leads out of the volume that it is about. */
export class SandboxFsError extends MicrosandboxError implements FsFailure {
  readonly operation: string;
  readonly path: string;
  readonly errno: number | null;
  readonly errnoName: string | null;

  constructor(message: string, failure: FsFailure, options?: ErrorOptionsWithHint) {
    super("sandboxFs", message, options, failure);
    this.operation = failure.operation;
    this.path = failure.path;
    this.errno = failure.errno;
    this.errnoName = failure.errnoName;
  }
}

/** One entry of a tree that was not copied. */
export interface CopyRefusal {
  /** Below the directory that was copied; bytes that are no UTF-8 are replaced by U+FFFD. */
  readonly path: string;
  readonly pathBytes: Uint8Array;
  readonly message: string;
}

/** A directory was copied but for some of its entries. */
export class PartialCopyError extends MicrosandboxError {
  /** How many entries were not copied as they are. */
  readonly refusedCount: number;
  /** The first of them. */
  readonly refused: readonly CopyRefusal[];

  constructor(
    message: string,
    details: ErrorDetails<"partialCopy"> & { readonly refused?: readonly CopyRefusal[] },
    options?: ErrorOptionsWithHint,
  ) {
    super("partialCopy", message, options, { refusedCount: details.refusedCount });
    this.refusedCount = details.refusedCount;
    this.refused = details.refused ?? [];
  }
}

/** Changes of a guest cannot be written to the host, because the host has changed the same files. What was asked for says what was. */
export class ChangesConflictError extends MicrosandboxError {
  /** How many of them. */
  readonly conflictCount: number;
  /** The first of them, below the directory; bytes that are no UTF-8 are replaced by U+FFFD. */
  readonly conflicts: readonly string[];

  constructor(
    message: string,
    details: ErrorDetails<"changesConflict"> & { readonly conflicts?: readonly string[] },
    options?: ErrorOptionsWithHint,
  ) {
    super("changesConflict", message, options, { conflictCount: details.conflictCount });
    this.conflictCount = details.conflictCount;
    this.conflicts = details.conflicts ?? [];
  }
}

/** Why a command could not be started. */
export type ExecFailureKind = (typeof execFailureKinds)[number];

export interface ExecFailure {
  readonly kind: ExecFailureKind;
  /** Linux errno, null when no system call failed. */
  readonly errno: number | null;
  /** Such as `ENOENT`. */
  readonly errnoName: string | null;
  /** The step of starting the command that failed. */
  readonly stage: string | null;
}

/** A command could not be started in the guest. */
export class ExecFailedError extends MicrosandboxError implements ExecFailure {
  readonly kind: ExecFailureKind;
  readonly errno: number | null;
  readonly errnoName: string | null;
  readonly stage: string | null;

  constructor(message: string, failure: ExecFailure, options?: ErrorOptionsWithHint) {
    super("execFailed", message, options, failure);
    this.kind = failure.kind;
    this.errno = failure.errno;
    this.errnoName = failure.errnoName;
    this.stage = failure.stage;
  }
}

/** The part of starting that failed. */
export type BootStage = (typeof bootStages)[number];

export interface BootFailure {
  readonly sandboxName: string;
  readonly stage: BootStage;
  /** errno of the failing system call, null when there was none. */
  readonly errno: number | null;
  /** The last lines of the guest's console. */
  readonly consoleTail: string;
  /** What QEMU wrote to its standard error. */
  readonly qemuOutput: string;
}

/** The VM ended, or did not become ready in time, before the sandbox ran. */
export class BootStartError extends MicrosandboxError implements BootFailure {
  readonly sandboxName: string;
  readonly stage: BootStage;
  readonly errno: number | null;
  readonly consoleTail: string;
  readonly qemuOutput: string;

  constructor(message: string, failure: BootFailure, options?: ErrorOptionsWithHint) {
    super("bootStart", message, options, failure);
    this.sandboxName = failure.sandboxName;
    this.stage = failure.stage;
    this.errno = failure.errno;
    this.consoleTail = failure.consoleTail;
    this.qemuOutput = failure.qemuOutput;
  }
}

/** What was asked for exists only with another backend. */
export class UnsupportedError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("unsupported", message, options);
  }
}

/** A volume has this name already. */
export class VolumeAlreadyExistsError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("volumeAlreadyExists", message, options);
  }
}

/** No volume has this name. */
export class VolumeNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("volumeNotFound", message, options);
  }
}

/** The sandbox has no checkpoint of this name. */
export class CheckpointNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("checkpointNotFound", message, options);
  }
}

/** The sandbox has a checkpoint of this name already. */
export class CheckpointAlreadyExistsError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("checkpointAlreadyExists", message, options);
  }
}

/** A pool has this name that was made with other settings. */
export class PoolAlreadyExistsError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("poolAlreadyExists", message, options);
  }
}

/** No pool has this name. */
export class PoolNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("poolNotFound", message, options);
  }
}

/** There is no snapshot of this name, digest or path. */
export class SnapshotNotFoundError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("snapshotNotFound", message, options);
  }
}

/** The place of the snapshot is taken, by another one or by something else. */
export class SnapshotAlreadyExistsError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("snapshotAlreadyExists", message, options);
  }
}

/** The disk of a sandbox that is starting or about to end is not captured. */
export class SnapshotSandboxRunningError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("snapshotSandboxRunning", message, options);
  }
}

/** The image that the snapshot's disk lies over cannot be had. */
export class SnapshotImageMissingError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("snapshotImageMissing", message, options);
  }
}

/** The memory of a snapshot cannot be used on this host, or by this version: the message says what differs. */
export class SnapshotIncompatibleError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("snapshotIncompatible", message, options);
  }
}

/** What a snapshot or an archive holds is not what its description says. */
export class SnapshotIntegrityError extends MicrosandboxError {
  constructor(message: string, options?: ErrorOptionsWithHint) {
    super("snapshotIntegrity", message, options);
  }
}
