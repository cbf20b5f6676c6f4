import { RuntimeError, SandboxNotRunningError, SandboxPausedError } from "../../../errors/index.ts";
import type { AgentLink } from "../../../agent-link/agent-link.ts";
import type { Machine } from "../../../machine/machine.ts";
import type { PausedCalls } from "../../../protocol/generated/messages.ts";

export interface GuestPauseOptions {
  readonly name: string;
  readonly machine: Pick<Machine, "pause" | "resume">;
  readonly agent: Pick<AgentLink, "flush" | "setClock">;
  /** It goes on. */
  readonly resumed: () => void;
  /** Has it written down whether it is paused. @throws IoError */
  readonly changed: (isPaused: boolean) => Promise<void>;
}

/** A guest whose processors can be held. Its memory stays where it is. */
export class GuestPause {
  readonly #options: GuestPauseOptions;
  /** What becomes of calls that need the guest; null: it runs. */
  #calls: PausedCalls | null = null;
  /** One change after the other. */
  #changing: Promise<void> = Promise.resolve();
  #isHalted = false;
  /** That it goes on could not be written down: whoever looks may believe that it is paused. */
  #isUntold = false;
  #isOver = false;

  constructor(options: GuestPauseOptions) {
    this.#options = options;
  }

  get isPaused(): boolean {
    return this.#calls !== null;
  }

  /** Whether its processors are held, for whatever reason. */
  get isHeld(): boolean {
    return this.isPaused || this.#isHalted;
  }

  /**
   * Holds the guest; of one that is held already it changes what becomes of calls.
   *
   * @param flush what is not on its disks yet is written first
   * @param wanted asked when it is its turn
   * @throws SandboxNotRunningError when it is about to end; RuntimeError for one that is held and would have to run to flush; QmpError;
   *   IoError when it cannot be written down: then it is not held
   */
  pause(calls: PausedCalls, flush: boolean, wanted = (): boolean => true): Promise<void> {
    return this.#inTurn(async () => {
      const { name, machine, agent, changed } = this.#options;
      if (flush && this.isPaused)
        throw new RuntimeError(`sandbox ${name} is paused already, and does not run to flush`, {
          hint: "Resume it, and pause it with the flush.",
        });
      if (flush) await agent.flush();
      this.#unlessOver();
      if (!wanted()) return;
      const wasPaused = this.isPaused;
      // From now on a call finds it paused, and may wake it when it is.
      this.#calls = calls;
      if (wasPaused) return;
      try {
        await machine.pause();
      } catch (error) {
        this.#calls = null;
        throw error;
      }
      try {
        await changed(true);
      } catch (error) {
        await this.#goOn().catch(() => undefined);
        throw error;
      }
    });
  }

  /**
   * Lets it go on, with the time of now. Does nothing to one that runs, and of which that is known.
   *
   * @throws QmpError; IoError when it cannot be written down: it goes on all the same, and this can be tried again
   */
  resume(): Promise<void> {
    return this.#inTurn(() => this.#goOn());
  }

  /**
   * Does something during which nobody but the one who does it holds the guest or lets it go on. It runs when that begins, and whoever wants
   * it to be held or to go on waits.
   *
   * @throws SandboxNotRunningError when it is about to end; what the work throws
   */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      await this.#goOn();
      this.#unlessOver();
      return await work();
    });
  }

  /**
   * Does something for which the guest has to answer for a moment, during which nobody but the one who does it holds it or lets it go on. One
   * that is paused is so for everybody else, and stays it.
   *
   * @param flush the work flushes: then one that is paused is not to be resumed for it
   * @param work has one that is paused answer as late as it can, with `wake`: from then on its programs run, too
   * @throws SandboxNotRunningError when it is about to end; RuntimeError; QmpError; what the work throws
   */
  briefly<T>(flush: boolean, work: (wake: () => Promise<void>) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const { name, machine, agent } = this.#options;
      this.#unlessOver();
      const { isPaused } = this;
      if (flush && isPaused)
        throw new RuntimeError(`sandbox ${name} is paused, and does not run to flush`, {
          hint: "Resume it, or do it without the flush.",
        });
      const wake = async (): Promise<void> => {
        if (!isPaused) return;
        agent.setClock();
        await machine.resume();
      };
      try {
        return await work(wake);
      } finally {
        if (isPaused) await machine.pause();
      }
    });
  }

  /**
   * Does something during which it stays as it is: held, or not. Whoever wants that to change waits.
   *
   * @throws SandboxNotRunningError when it is about to end; what the work throws
   */
  asItIs<T>(work: (isPaused: boolean) => Promise<T>): Promise<T> {
    return this.#inTurn(() => {
      this.#unlessOver();
      return work(this.isPaused);
    });
  }

  /** Holds the processors of one that runs, for some work within {@link asItIs}. @throws QmpError; what the work throws */
  async halted<T>(work: () => Promise<T>): Promise<T> {
    const { machine, agent } = this.#options;
    this.#isHalted = true;
    try {
      await machine.pause();
      try {
        return await work();
      } finally {
        agent.setClock();
        await machine.resume();
        agent.setClock();
      }
    } finally {
      this.#isHalted = false;
    }
  }

  /** Something that needs the guest is asked for. @throws SandboxPausedError when that is to fail */
  call(): void {
    if (this.#calls === "fail")
      throw new SandboxPausedError(`sandbox ${this.#options.name} is paused`, {
        hint: `Resume it ("msb resume ${this.#options.name}"), or pause it with calls that wait or wake it.`,
      });
    this.wake();
  }

  /** Somebody is there for whom one that may be woken gets up. */
  wake(): void {
    if (this.#calls !== "wake") return;
    // Whatever is asked of the guest until then waits on the way to it. A machine that cannot go on ends, which is told elsewhere.
    this.resume().catch(() => undefined);
  }

  /** It is to end: it goes on, to do that in order, and is not held any more. */
  end(): void {
    this.#isOver = true;
    this.resume().catch(() => undefined);
  }

  async #goOn(): Promise<void> {
    const { machine, agent, resumed } = this.#options;
    if (this.#calls === null) {
      if (this.#isUntold) await this.#tell();
      return;
    }
    // The first that its agent reads. Its processes may be quicker, so it is sent before; and once more when the way is short.
    agent.setClock();
    await machine.resume();
    this.#calls = null;
    agent.setClock();
    resumed();
    await this.#tell();
  }

  /** @throws IoError */
  async #tell(): Promise<void> {
    this.#isUntold = true;
    await this.#options.changed(false);
    this.#isUntold = false;
  }

  #unlessOver(): void {
    if (this.#isOver)
      throw new SandboxNotRunningError(`sandbox ${this.#options.name} is about to end`, {
        hint: "Start it again when it has stopped.",
      });
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(change);
    this.#changing = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }
}
