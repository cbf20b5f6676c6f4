import { AgentUnresponsiveError } from "../../../errors/index.ts";
import type { AgentLink } from "../../../agent-link/agent-link.ts";

/** The time for an answer is waited for in so many parts: at the end of each it is looked whether there was any sign of life. */
const parts = 4;

export interface AgentWatchOptions {
  readonly agent: Pick<AgentLink, "received" | "ping" | "giveUp">;
  /** How long the agent may leave a question without an answer. Bounds how often it is asked, too. ms; 0: for ever. */
  readonly timeoutMs: number;
  /**
   * Whether the guest is held, for want of space or because it is paused: then it cannot answer. QEMU stops a guest for nothing
   * else that passes: one that it has stopped after an internal error stands still for ever, like one whose kernel was halted.
   */
  readonly isHeld: () => boolean;
}

/**
 * Notices a guest that stands still. An agent from which nothing is heard for a while is asked, and when then nothing at all comes
 * for long enough the connection to it is given up, which ends all that wait for the guest. Any byte is a sign of life: the
 * answer may stand in line behind a flood of output.
 *
 * What is counted are looks, not time: a host that was suspended, or so busy that this process did not run, has not given its
 * guests time to answer either.
 */
export class AgentWatch {
  readonly #options: AgentWatchOptions;
  readonly #partMs: number;
  #timer: NodeJS.Timeout | null = null;
  #dueAtMs = 0;
  #received = 0;
  /** At how many looks since the question nothing had come. */
  #silent = 0;
  #asked = false;

  constructor(options: AgentWatchOptions) {
    this.#options = options;
    this.#partMs = Math.ceil(options.timeoutMs / parts);
    if (options.timeoutMs > 0) this.#wait();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(): void {
    this.#dueAtMs = performance.now() + this.#partMs;
    const timer = setTimeout(() => {
      // After a time in which this process did not run, timers come before what has arrived meanwhile.
      setImmediate(() => {
        if (this.#timer === timer) this.#look();
      });
    }, this.#partMs);
    this.#timer = timer;
  }

  #look(): void {
    const { agent, isHeld, timeoutMs } = this.#options;
    const isLate = performance.now() - this.#dueAtMs > this.#partMs / 2;
    if (agent.received !== this.#received) {
      this.#received = agent.received;
      this.#asked = false;
      this.#silent = 0;
    } else if (isHeld()) {
      this.#silent = 0;
    } else if (!this.#asked) {
      this.#asked = true;
      this.#silent = 0;
      // What becomes of the connection is told elsewhere.
      agent.ping().catch(() => undefined);
    } else if (isLate) {
      this.#silent = 0;
    } else if (++this.#silent >= parts) {
      this.stop();
      agent.giveUp(
        new AgentUnresponsiveError(`the guest stands still: its agent has not answered for ${timeoutMs} ms`, {
          hint:
            "Its kernel was halted or hangs, or QEMU has stopped it: see `msb logs --source system`. " +
            "Start the sandbox again; MSB_AGENT_TIMEOUT_MS allows more time.",
        }),
      );
      return;
    }
    this.#wait();
  }
}
