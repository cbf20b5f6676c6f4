import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Writable } from "node:stream";
import { hasEnded, spawnQemu, type SpawnedQemu } from "../machine/spawn.ts";
import type { HeadStart } from "../plan/head-start.ts";

/** The descriptor of QEMU's monitor among its connections, see `machine/command-line.ts`. */
const monitorFd = 3;

export interface TakenQemu extends SpawnedQemu {
  /** As performance.now() says. */
  readonly startedAtMs: number;
}

/**
 * The QEMU that this process started before it loaded its own program, as it was told by whoever started it: it is taken when
 * it turns out to be right, and else ended. Imports next to nothing, because it is the first thing that a supervisor does.
 */
export class BegunQemu {
  readonly request: HeadStart;
  readonly #spawned: SpawnedQemu;
  readonly #startedAtMs = performance.now();
  #isOurs = true;

  private constructor(request: HeadStart, spawned: SpawnedQemu) {
    this.request = request;
    this.#spawned = spawned;
  }

  /** The sandbox's upper disk was made a moment ago. */
  get upperIsNew(): boolean {
    return this.request.upperPath !== null;
  }

  /**
   * Waits until it was said what to start, and starts it. What cannot be read or started is left out: everything is found
   * out again later, and what is wrong is told then.
   *
   * @param fd where one line of JSON comes, or nothing, and then the end
   */
  static start(fd: number): BegunQemu | null {
    try {
      const text = readFileSync(fd, "utf8");
      if (text === "") return null;
      const request = JSON.parse(text) as HeadStart;
      const stateFd = openSync(request.statePath, "r");
      const spawned = spawnQemu(request.command, { isWatched: request.isWatched, stateFd });
      closeSync(stateFd);
      if (spawned.child.pid === undefined) return null;
      const monitor = spawned.child.stdio[monitorFd] as Writable;
      monitor.on("error", () => undefined);
      monitor.write(request.opening);
      return new BegunQemu(request, spawned);
    } catch {
      return null;
    }
  }

  /** @returns null, with nothing of it left, when it was started in another way or has ended */
  async take(command: readonly string[]): Promise<TakenQemu | null> {
    const isRight = JSON.stringify(command) === JSON.stringify(this.request.command);
    if (!this.#isOurs || !isRight || hasEnded(this.#spawned.child)) {
      await this.discard();
      return null;
    }
    this.#isOurs = false;
    return { ...this.#spawned, startedAtMs: this.#startedAtMs };
  }

  /** Ends it, and removes the disk that was made for it, unless it was taken. */
  async discard(): Promise<void> {
    if (!this.#isOurs) return;
    this.#isOurs = false;
    const { child } = this.#spawned;
    if (!hasEnded(child)) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    const { upperPath } = this.request;
    if (upperPath !== null) await rm(upperPath, { force: true });
  }
}
