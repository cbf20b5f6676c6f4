import { closeSync, openSync, readFileSync } from "node:fs";
import type { Writable } from "node:stream";
import { spawnQemu, type SpawnedQemu } from "../../machine/qemu/spawn.ts";
import { HEAD_START_FORMAT, type HeadStart } from "./head-start-format.ts";

/** QEMU's descriptors, see `machine/command-line.ts`. */
const monitorFd = 3;
const agentFd = 5;

/**
 * The QEMU that this process started before it loaded its own program, as it was told by whoever started it. Imports next to
 * nothing, because it is the first thing that a supervisor does.
 */
export interface BegunQemu {
  readonly request: HeadStart;
  readonly spawned: SpawnedQemu;
  /** As performance.now() says. */
  readonly startedAtMs: number;
}

/**
 * Waits until it was said what to start, and starts it. What cannot be read or started is left out: everything is found out
 * again then, and what is wrong is told.
 *
 * @param fd where one line of JSON comes, or nothing, and then the end
 */
export function beginQemu(fd: number): BegunQemu | null {
  let spawned: SpawnedQemu | null = null;
  try {
    const text = readFileSync(fd, "utf8");
    closeSync(fd);
    if (text === "") return null;
    const request = JSON.parse(text) as HeadStart;
    if (request.format !== HEAD_START_FORMAT) return null;
    const stateFd = openSync(request.statePath, "r");
    const startedAtMs = performance.now();
    spawned = spawnQemu(request.command, { isWatched: request.isWatched, stateFd });
    closeSync(stateFd);
    if (spawned.child.pid === undefined) return null;
    // Both are heard as soon as somebody is there to hear them.
    say(spawned, monitorFd, request.opening);
    say(spawned, agentFd, Buffer.from(request.introduction, "base64"));
    return { request, spawned, startedAtMs };
  } catch {
    spawned?.child.kill("SIGKILL");
    return null;
  }
}

function say({ child }: SpawnedQemu, fd: number, words: string | Buffer): void {
  const stream = (child.stdio as readonly unknown[])[fd] as Writable;
  stream.on("error", () => undefined);
  stream.write(words);
}
