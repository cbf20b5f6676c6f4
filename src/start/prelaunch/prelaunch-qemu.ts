import { closeSync, openSync, readFileSync } from "node:fs";
import type { Writable } from "node:stream";
import { spawnQemu, type SpawnedQemu } from "../../machine/qemu/spawn.ts";
import { HANDOVER_FORMAT, type PrelaunchOrder } from "../contract/handover.ts";

/** QEMU's descriptors, see `machine/qemu/command-line.ts`. */
const monitorFd = 3;
const agentFd = 5;

/** What this process was told by whoever started it, and the QEMU that it started for that. */
export interface Inherited {
  /** What came through the pipe; checked only as far as QEMU's start needs it. null when it was nothing. */
  readonly rawHandover: unknown;
  readonly qemu: PrelaunchedQemu | NoQemu;
}

export interface PrelaunchedQemu {
  readonly kind: "running";
  readonly spawned: SpawnedQemu;
  /** As performance.now() says. */
  readonly startedAtMs: number;
}

export interface NoQemu {
  readonly kind: "none";
  /** One clause. */
  readonly reason: string;
  /** What was said has another format than this version of the package reads. */
  readonly isOtherVersion: boolean;
}

/**
 * Waits until it was said what QEMU to start, and starts it. Imports next to nothing, because it is the first thing that a
 * supervisor does: the schema of what is said comes later, when QEMU is on its way. Who writes to the pipe started this process.
 *
 * @param fd where a `Handover` comes, and then the end
 */
export function prelaunchQemu(fd: number): Inherited {
  let rawHandover: unknown = null;
  let spawned: SpawnedQemu | null = null;
  try {
    const text = readFileSync(fd, "utf8");
    closeSync(fd);
    if (text === "") return { rawHandover, qemu: none("nothing was handed over") };
    rawHandover = JSON.parse(text);
    const order = orderIn(rawHandover);
    if ("reason" in order) return { rawHandover, qemu: order };
    const stateFd = openSync(order.statePath, "r");
    const startedAtMs = performance.now();
    spawned = spawnQemu(order.command, {
      isWatched: order.isWatched,
      stateFd,
      hasNetwork: order.network !== null,
    });
    closeSync(stateFd);
    if (spawned.child.pid === undefined) return { rawHandover, qemu: none("QEMU could not be started") };
    // Both are heard as soon as somebody is there to hear them.
    say(spawned, monitorFd, order.opening);
    say(spawned, agentFd, Buffer.from(order.bootFrames, "base64"));
    return { rawHandover, qemu: { kind: "running", spawned, startedAtMs } };
  } catch (error) {
    spawned?.child.kill("SIGKILL");
    return { rawHandover, qemu: none(error instanceof Error ? error.message : String(error)) };
  }
}

type StartOrder = Pick<
  PrelaunchOrder,
  "command" | "isWatched" | "statePath" | "opening" | "bootFrames" | "network"
>;

function none(reason: string, isOtherVersion = false): NoQemu {
  return { kind: "none", reason, isOtherVersion };
}

/** What QEMU's start needs, or why there is none. */
function orderIn(rawHandover: unknown): StartOrder | NoQemu {
  const { format, prelaunch } = fieldsOf(rawHandover);
  if (format !== HANDOVER_FORMAT) return none("another version of this package handed it over", true);
  const { kind, reason, command, isWatched, statePath, opening, bootFrames, network } = fieldsOf(prelaunch);
  if (kind !== "qemu") return none(typeof reason === "string" ? reason : "it was not said what to start");
  if (
    !Array.isArray(command) ||
    command.length === 0 ||
    !command.every((word) => typeof word === "string") ||
    typeof isWatched !== "boolean" ||
    typeof statePath !== "string" ||
    typeof opening !== "string" ||
    typeof bootFrames !== "string" ||
    typeof network !== "object"
  ) {
    return none("what was handed over does not say how to start QEMU");
  }
  return {
    command,
    isWatched,
    statePath,
    opening,
    bootFrames,
    network: network as StartOrder["network"],
  };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function say({ child }: SpawnedQemu, fd: number, words: string | Buffer): void {
  const stream = (child.stdio as readonly unknown[])[fd] as Writable;
  stream.on("error", () => undefined);
  stream.write(words);
}
