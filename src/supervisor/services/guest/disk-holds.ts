import { DiskFreeze } from "../../../agent-link/disk-freeze.ts";
import type { AgentLink } from "../../../agent-link/agent-link.ts";
import { RuntimeError, SandboxNotRunningError, UnsupportedOperationError } from "../../../errors/index.ts";
import { orTimeout } from "../../../host/or-timeout.ts";
import { numberFromEnvironment } from "../../../host/process/environment-settings.ts";
import type { Machine } from "../../../machine/machine.ts";
import type { DataKind } from "../../../protocol/frame.ts";
import type { DiskHold, GuestFlush, Message } from "../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../protocol/stream.ts";
import { violation } from "../../../protocol/violation.ts";
import type { RuntimeLog } from "../../logs/runtime-log.ts";
import type { GuestPause } from "./guest-pause.ts";
import type { TimeLimits } from "./time-limits.ts";

export interface DiskHoldsOptions {
  readonly name: string;
  readonly machine: Pick<Machine, "diskWrites">;
  readonly agent: Pick<AgentLink, "openFiles">;
  readonly pause: Pick<GuestPause, "asItIs" | "halted">;
  readonly limits: Pick<TimeLimits, "sessionStarted" | "sessionEnded">;
  /** What else has it stand still at this moment; null: nothing. */
  readonly obstacle: () => string | null;
  /** Of the upper disk. */
  readonly path: string;
  readonly log: Pick<RuntimeLog, "write">;
}

/** How long a guest may write what it has in its memory, before it is frozen, and how long it may take to go on, ms. */
const freezeWithinMs = 60_000;
const thawWithinMs = 30_000;
/** How long one that stands still may be kept so, ms. */
const longestStillMs = 600_000;

/** Has a guest write nothing to its upper disk while clients copy it, one at a time. */
export class DiskHolds {
  readonly #options: DiskHoldsOptions;
  readonly #copies = new Set<Copy>();

  constructor(options: DiskHoldsOptions) {
    this.#options = options;
  }

  /** Holds the disk as soon as it is its turn, for as long as the stream is open. */
  hold(flush: GuestFlush, client: Stream): StreamHandler {
    const copy = new Copy(client);
    this.#copies.add(copy);
    void this.#serve(copy, flush).finally(() => this.#copies.delete(copy));
    return copy;
  }

  /** The guest is to end: whoever copies its disk has to do without. */
  end(): void {
    const { name } = this.#options;
    const reason = new SandboxNotRunningError(`sandbox ${name} is about to end`, {
      hint: "Take the snapshot when it has stopped.",
    });
    for (const copy of this.#copies) copy.giveUp(reason);
  }

  async #serve(copy: Copy, flush: GuestFlush): Promise<void> {
    const { pause, log } = this.#options;
    try {
      await pause.asItIs(async (isPaused) => {
        copy.check();
        const begunMs = performance.now();
        const hold = await this.#hold(copy, flush, isPaused);
        log.write("info", `its disk was copied, ${hold} for ${Math.round(performance.now() - begunMs)} ms`);
      });
      copy.done();
    } catch (error) {
      log.write("info", `its disk was not copied: ${String(error)}`);
      copy.giveUp(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #hold(copy: Copy, flush: GuestFlush, isPaused: boolean): Promise<DiskHold> {
    const { name, pause, limits } = this.#options;
    if (isPaused) {
      if (flush === "required")
        throw new UnsupportedOperationError(`sandbox ${name} is paused, and does not run to flush its disk`, {
          hint: 'Resume it, or take its disk as it is (guestFlush "auto").',
        });
      await copy.hold("paused", longestStillMs);
      return "paused";
    }
    limits.sessionStarted();
    try {
      if (flush !== "skip") await this.#freeze(copy);
      else await pause.halted(() => copy.hold("halted", longestStillMs));
      return flush === "skip" ? "halted" : "frozen";
    } finally {
      limits.sessionEnded();
    }
  }

  async #freeze(copy: Copy): Promise<void> {
    const { name, machine, agent, path, obstacle } = this.#options;
    const found = obstacle();
    if (found !== null)
      throw new RuntimeError(`sandbox ${name} cannot freeze its disk: ${found}`, {
        hint: "Take the snapshot when it goes on.",
      });
    const longestFreezeMs = numberFromEnvironment("MSB_DISK_FREEZE_MS");
    const freeze = new DiskFreeze(agent, longestFreezeMs);
    try {
      await inTime(
        copy.unlessOver(freeze.frozen),
        freezeWithinMs,
        `sandbox ${name} does not freeze its disk`,
      );
      const writes = await machine.diskWrites(path);
      await copy.unlessOver(
        Promise.race([copy.hold("frozen", longestFreezeMs + thawWithinMs), freeze.thawed]),
      );
      // Whatever the guest says: this is what came of it.
      if ((await machine.diskWrites(path)) !== writes)
        throw new RuntimeError(`the guest has written to its disk while it was frozen for the copy`, {
          hint: 'A program in it has thawed the disk, or writes past its file system. guestFlush "skip" holds its processors.',
        });
      freeze.release();
      await inTime(copy.unlessOver(freeze.thawed), thawWithinMs, `sandbox ${name} does not thaw its disk`);
    } catch (error) {
      freeze.abandon();
      // The next one could not freeze what is frozen still.
      await orTimeout(freeze.over, thawWithinMs);
      throw error;
    }
  }
}

/** One client that copies. */
class Copy implements StreamHandler {
  readonly #client: Stream;
  readonly #released = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<never>();
  #isHeld = false;
  #reason: Error | null = null;

  constructor(client: Stream) {
    this.#client = client;
    this.#over.promise.catch(() => undefined);
  }

  /** Tells that the disk is held, and waits until it was copied. @throws why it is not to be any more */
  async hold(hold: DiskHold, limitMs: number): Promise<void> {
    this.check();
    this.#isHeld = true;
    this.#client.send({ type: "DiskHeld", hold });
    const copied = this.unlessOver(this.#released.promise);
    await inTime(copied, limitMs, "the copy of the disk does not come to its end");
  }

  /** @throws why nobody copies any more */
  check(): void {
    if (this.#reason !== null) throw this.#reason;
  }

  unlessOver<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#over.promise]);
  }

  done(): void {
    this.#client.send({ type: "Done" });
  }

  giveUp(reason: Error): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#over.reject(reason);
    this.#client.abort(reason);
  }

  message({ type }: Message): void {
    if (!this.#isHeld) throw violation(`out of turn: ${type} before the disk was held`);
    this.#released.resolve();
  }

  data(kind: DataKind): void {
    throw violation(`no data this way: kind ${kind} on the hold of a disk`);
  }

  aborted(): void {
    this.giveUp(nobody());
  }

  lost(): void {
    this.giveUp(nobody());
  }
}

function nobody(): Error {
  return new RuntimeError("nobody copies the disk any more");
}

async function inTime(work: Promise<unknown>, limitMs: number, what: string): Promise<void> {
  const done = await orTimeout(
    work.then(() => true),
    limitMs,
  );
  if (done === null)
    throw new RuntimeError(`${what} within ${limitMs / 1000} s`, {
      hint: "The host or the guest is too busy: try again, or stop the sandbox first.",
    });
}
