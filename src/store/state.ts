import { open, readFile } from "node:fs/promises";
import * as v from "valibot";
import { isTerminal, SandboxStatuses, type SandboxStatus } from "../config/enums.ts";
import { JsonError } from "../errors/index.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import { writeFileAtomically } from "../host/files/atomic-file.ts";
import { isAlive } from "../host/process/process-identity.ts";

/** Why a sandbox ended, as recorded in `state.json`. */
const terminationReasons = [
  "Completed",
  "Failed",
  "MaxDurationExceeded",
  "IdleTimeout",
  "AgentUnresponsive",
  "ShutdownRequested",
  "Suspended",
  "DrainRequested",
  "SecretViolation",
  "Signal",
  "InternalError",
] as const;

export type TerminationReason = (typeof terminationReasons)[number];

const processSchema = v.object({ pid: v.number(), started: v.string() });

const startSchema = v.object({
  /** Beside its supervisor from a template, from a template, or from its kernel. */
  route: v.picklist(["prelaunched", "restored", "cold", "continued"]),
  /** From what, and why not in a quicker way, for people. */
  reason: v.string(),
  /** From the start of its supervisor. */
  elapsedMs: v.number(),
});

const portSchema = v.object({
  hostBind: v.string(),
  /** As it was chosen, where any would do. */
  hostPort: v.number(),
  guestPort: v.number(),
  protocol: v.picklist(["tcp", "udp"]),
  proxyProtocol: v.boolean(),
});

const stateSchema = v.object({
  status: v.picklist(SandboxStatuses),
  updatedAt: v.string(),
  /** The supervisor of the latest run. */
  supervisor: v.nullable(processSchema),
  socket: v.nullable(v.string()),
  accelerator: v.nullable(v.string()),
  /** How the latest run was started; null when it did not come so far. */
  start: v.optional(v.nullable(startSchema), null),
  /** The ports of the guest that the host offers in the latest run. */
  ports: v.optional(v.array(portSchema), () => []),
  startedAt: v.nullable(v.string()),
  endedAt: v.nullable(v.string()),
  reason: v.nullable(v.picklist(terminationReasons)),
  /** One line on how the run ended, for people. */
  detail: v.string(),
  exitCode: v.nullable(v.number()),
  signal: v.nullable(v.string()),
});

/** What `state.json` says; only the supervisor writes it once there is one. */
export type SandboxState = v.InferOutput<typeof stateSchema>;

export function initialState(): SandboxState {
  return {
    status: "created",
    updatedAt: new Date().toISOString(),
    supervisor: null,
    socket: null,
    accelerator: null,
    start: null,
    ports: [],
    startedAt: null,
    endedAt: null,
    reason: null,
    detail: "",
    exitCode: null,
    signal: null,
  };
}

/** @throws JsonError when the file is not what it should be; IoError; null when there is none */
export async function readState(path: string): Promise<SandboxState | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError(`read ${path}`, error);
  }
  // What a host that lost its power leaves of a file that had not reached the disk.
  if (/^\0*$/.test(text)) return { ...initialState(), status: "crashed", detail: "the host lost its power" };
  try {
    return v.parse(stateSchema, JSON.parse(text));
  } catch (error) {
    throw new JsonError(`${path} is damaged`, {
      cause: error,
      hint: "Remove the sandbox (msb rm -f NAME) or restore the file.",
    });
  }
}

/**
 * Writes the state. On a full disk over the old one, in the space that it has: how a sandbox ended is worth more than the
 * protection against a loss of power in that very moment.
 *
 * @throws IoError
 */
export async function writeState(path: string, state: SandboxState): Promise<void> {
  const json = JSON.stringify(state, null, 2) + "\n";
  try {
    // How a run ended is for ever. That one runs is over with the host's power, whatever is written here.
    await writeFileAtomically(path, json, state.status !== "created" && isTerminal(state.status));
  } catch (error) {
    const code = error instanceof Error ? errorCode(error.cause) : undefined;
    if ((code !== "ENOSPC" && code !== "EDQUOT") || !(await overwrite(path, json))) throw error;
  }
}

/** One write that is no shorter than what was there: a reader finds the old JSON or the new one. */
async function overwrite(path: string, json: string): Promise<boolean> {
  try {
    await using file = await open(path, "r+");
    const { size } = await file.stat();
    const bytes = Buffer.from(json.padEnd(size));
    return (await file.write(bytes, 0, bytes.length, 0)).bytesWritten === bytes.length;
  } catch {
    return false;
  }
}

/**
 * The status as it is, not as it was written: a supervisor that is gone without having said how it ended has crashed.
 */
export async function actualStatus(state: SandboxState): Promise<SandboxStatus> {
  const { status, supervisor } = state;
  if (isTerminal(status)) return status;
  if (supervisor !== null && (await isAlive(supervisor))) return status;
  return status === "draining" ? "stopped" : "crashed";
}
