import {
  BootStartError,
  CustomError,
  ImageError,
  InvalidConfigError,
  IoError,
  JsonError,
  LibkrunfwNotFoundError,
  MetricsDisabledError,
  MetricsUnavailableError,
  MicrosandboxError,
  ProtocolError,
  QemuNotFoundError,
  RuntimeError,
  SandboxNotFoundError,
  SandboxNotRunningError,
  SandboxReplacedError,
  SandboxStillRunningError,
  UnsupportedOperationError,
  type BootStage,
} from "../errors/index.ts";
import type { FailureMessage } from "./generated/messages.ts";

type Constructor = new (message: string, options?: { hint?: string }) => MicrosandboxError;

const constructors: Readonly<Record<string, Constructor>> = {
  custom: CustomError,
  image: ImageError,
  invalidConfig: InvalidConfigError,
  io: IoError,
  json: JsonError,
  libkrunfwNotFound: LibkrunfwNotFoundError,
  metricsDisabled: MetricsDisabledError,
  metricsUnavailable: MetricsUnavailableError,
  protocol: ProtocolError,
  qemuNotFound: QemuNotFoundError,
  runtime: RuntimeError,
  sandboxNotFound: SandboxNotFoundError,
  sandboxNotRunning: SandboxNotRunningError,
  sandboxReplaced: SandboxReplacedError,
  sandboxStillRunning: SandboxStillRunningError,
  unsupportedOperation: UnsupportedOperationError,
};

/** An error as it crosses from the supervisor to a client. */
export function encodeFailure(error: unknown): FailureMessage {
  if (error instanceof BootStartError) {
    const { sandboxName, stage, errno, consoleTail, qemuOutput } = error;
    return failure(error, { sandboxName, stage, errno, consoleTail, qemuOutput });
  }
  if (error instanceof MicrosandboxError) return failure(error, {});
  const message = error instanceof Error ? error.message : String(error);
  return { type: "Failure", code: "runtime", message, hint: "", details: "{}" };
}

function failure(error: MicrosandboxError, details: object): FailureMessage {
  const { code, message, hint } = error;
  return { type: "Failure", code, message, hint, details: JSON.stringify(details) };
}

/** The other way round: an error of the same class, with the same fields. */
export function decodeFailure(failure: FailureMessage): MicrosandboxError {
  const { code, message, hint } = failure;
  if (code === "bootStart") {
    const details = JSON.parse(failure.details) as {
      sandboxName: string;
      stage: BootStage;
      errno: number | null;
      consoleTail: string;
      qemuOutput: string;
    };
    return new BootStartError(message, details, { hint });
  }
  const constructor = constructors[code] ?? RuntimeError;
  return new constructor(message, { hint });
}
