import type { Machine } from "../../../machine/machine.ts";
import { diskErrorOf } from "../../../machine/disks/disk-error.ts";
import type { RuntimeLog } from "../../logs/runtime-log.ts";

/** There is no event for space that becomes free. Only QEMU knows whether what it could not write can be written now. ms */
const retryMs = 1000;

export interface DiskShortageOptions {
  readonly machine: Pick<Machine, "events" | "outOfSpace" | "runs" | "resume">;
  /** Then it stays held when there is space again. */
  readonly isPaused: () => boolean;
  readonly log: Pick<RuntimeLog, "write">;
  /** Tells whoever started the sandbox. */
  readonly notice: (message: string) => void;
}

/**
 * Sees a sandbox through a time in which the host has no space left for its disk. QEMU holds the guest then, with what it could not
 * write: nothing is lost, and no program in the guest meets an I/O error. It is told to try again until that works.
 */
export class DiskShortage {
  readonly #options: DiskShortageOptions;
  #timer: NodeJS.Timeout | null = null;
  #failedAgain = false;
  #heldAt = 0;
  #isOver = false;
  #saidOther = false;

  constructor(options: DiskShortageOptions) {
    this.#options = options;
    const { events, outOfSpace } = options.machine;
    events.on("event", (event) => {
      const error = diskErrorOf(event);
      if (error === null || this.#isOver) return;
      if (error.held) this.#held(error.reason);
      else this.#told(error.operation, error.reason);
    });
    // The disk may have become full before anybody listened here, when the guest was ready already.
    void outOfSpace.then(() => {
      if (!this.#isOver) this.#held("No space left on device");
    });
  }

  /** Whether the guest is held for want of space. */
  get lasts(): boolean {
    return this.#timer !== null;
  }

  stop(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #held(reason: string): void {
    this.#failedAgain = true;
    if (this.#timer !== null) return;
    this.#heldAt = performance.now();
    this.#say(
      `the host's disk is full (${reason}): the sandbox is held until there is space again. ` +
        "Free some, and it goes on by itself; nothing is lost.",
    );
    this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#look();
    }, retryMs);
  }

  #look(): void {
    const { machine, isPaused, log } = this.#options;
    if (machine.runs && !this.#failedAgain) {
      this.#timer = null;
      // Told once more: with its logs on that same disk there may have been no space for what was said first.
      const seconds = Math.round((performance.now() - this.#heldAt) / 1000);
      log.write(
        "error",
        `the host's disk was full for ${seconds} s: the sandbox was held, goes on, and has lost nothing`,
      );
      return;
    }
    this.#failedAgain = false;
    this.#wait();
    if (machine.runs || isPaused()) return;
    machine.resume().catch((error: unknown) => {
      log.write("debug", `QEMU does not go on: ${String(error)}`);
    });
  }

  /** The guest has been told; the host's user is too, once: what follows is in the log. */
  #told(operation: string, reason: string): void {
    const message = `the host could not ${operation} the sandbox's disk (${reason}): the guest got an I/O error`;
    if (this.#saidOther) this.#options.log.write("error", message);
    else this.#say(message);
    this.#saidOther = true;
  }

  #say(message: string): void {
    this.#options.log.write("error", message);
    this.#options.notice(message);
  }
}
