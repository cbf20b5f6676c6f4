import { CustomError, SandboxNotRunningError } from "../../errors/index.ts";
import type { SandboxState } from "../../protocol/generated/messages.ts";
import type { StartOutcome } from "../../start/start.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import type { SandboxState as StoredState, TerminationReason } from "../../store/state.ts";
import type { RuntimeLog } from "../logs/runtime-log.ts";
import type { RunningSandbox } from "../running-sandbox.ts";
import { SandboxEnd } from "../sandbox-end.ts";
import { SandboxEvents } from "../services/events/sandbox-events.ts";
import type { NetworkSettings } from "../services/network/sandbox-network.ts";
import { StateFile } from "../state-file.ts";
import { ending } from "../suspending.ts";

/** What a stop that nobody gave a grace for allows, ms. */
export const defaultGraceMs = 10_000;

/** Whether there is a sandbox: not yet, now, or not any more. */
type Phase =
  | { readonly kind: "starting" }
  | { readonly kind: "running"; readonly sandbox: RunningSandbox }
  | { readonly kind: "over" };

/** The machine of a sandbox that goes back to a checkpoint ends without it. */
export interface GoingBack {
  /** What is in force in its network; null: it has none. */
  readonly network: NetworkSettings | null;
  /** It runs as it was at the checkpoint. */
  readonly resolve: () => void;
  /** It has ended. */
  readonly reject: (error: unknown) => void;
}

/** What a sandbox is at the moment: whether it has a guest, what was decided about its end, and what is written down of both. */
export class SandboxLife {
  readonly sandbox: FoundSandbox;
  readonly end = new SandboxEnd();
  readonly events = new SandboxEvents();
  readonly stateFile: StateFile;
  /** Whether it ends with the connection of the process that has started it. */
  isAttached: boolean;
  /** What its machine was made of, once there is one. */
  facts: StartOutcome["facts"] | null = null;
  /** Its last machine has ended. */
  isOver = false;
  readonly #log: RuntimeLog;
  readonly #hurry: (graceMs: number) => void;
  readonly #starting = new AbortController();
  #phase: Phase = { kind: "starting" };
  #goingBack: GoingBack | null = null;

  /** @param hurry has whoever keeps a guest that shuts down from its end give up in time */
  constructor(sandbox: FoundSandbox, isAttached: boolean, log: RuntimeLog, hurry: (graceMs: number) => void) {
    this.sandbox = sandbox;
    this.isAttached = isAttached;
    this.stateFile = new StateFile(sandbox.paths.state, sandbox.state);
    this.#log = log;
    this.#hurry = hurry;
    this.#tellStates();
  }

  /** Whoever listens is told of each state that the sandbox comes to. */
  #tellStates(): void {
    let before = this.stateFile.state.status;
    this.stateFile.watch(({ status }) => {
      if (status === before) return;
      const isResumed = before === "paused" && status === "running";
      before = status;
      this.events.lifecycle(isResumed ? "resumed" : status);
    });
  }

  get name(): string {
    return this.sandbox.record.name;
  }

  get state(): SandboxState {
    const { status } = this.stateFile.state;
    // What clients hear of begins with the start.
    if (status === "created") return "starting";
    return status === "suspended" ? "stopped" : status;
  }

  /** Aborted when it is not to start any more. */
  get starting(): AbortSignal {
    return this.#starting.signal;
  }

  /** null: there is none yet, or none any more. */
  get guest(): RunningSandbox | null {
    return this.#phase.kind === "running" ? this.#phase.sandbox : null;
  }

  /** null: its machine is the one with which it goes on. */
  get goingBack(): GoingBack | null {
    return this.#goingBack;
  }

  /** The one place where what needs a running sandbox is refused. @throws SandboxNotRunningError */
  running(): RunningSandbox {
    if (this.guest !== null) return this.guest;
    throw this.notRunning();
  }

  notRunning(): SandboxNotRunningError {
    return new SandboxNotRunningError(`sandbox ${this.name} is ${this.state}`, {
      hint: `Start it ("msb start ${this.name}").`,
    });
  }

  /** @throws SandboxNotRunningError for one whose end was decided on */
  requireToGoOn(guest: RunningSandbox): void {
    if (this.isOver || guest.isLost || this.end.ending !== null || this.state === "draining")
      throw ending(this.name);
  }

  begins(guest: RunningSandbox): void {
    this.#phase = { kind: "running", sandbox: guest };
    this.events.begin({
      listenInside: (handler) => guest.listenInside(handler),
      networkLog: guest.network?.log ?? null,
    });
  }

  /** From now on there is no guest, until another one {@link begins}. */
  goesBack(goingBack: GoingBack): void {
    this.#goingBack = goingBack;
    this.#phase = { kind: "starting" };
    this.events.leave();
    void this.saveInBackground({ status: "starting" });
  }

  /** What it goes back to is decided on: an end from now on is its own. */
  wentBack(): void {
    this.#goingBack = null;
  }

  ended(): void {
    this.#phase = { kind: "over" };
  }

  giveUpStart(reason: unknown): void {
    this.#starting.abort(reason);
  }

  stop(graceMs: number, reason: TerminationReason, detail: string): void {
    this.end.decide(reason, detail, false);
    this.giveUpStart(new CustomError(`sandbox ${this.name} was stopped while it started`));
    this.shutDown(graceMs);
  }

  kill(): void {
    this.end.decide("Signal", "it was killed", false);
    this.giveUpStart(new CustomError(`sandbox ${this.name} was killed while it started`));
    this.guest?.kill();
  }

  /** Has the guest end in order, if there is one. */
  shutDown(graceMs: number): void {
    if (this.guest?.shutDown(graceMs) !== true) return;
    this.#hurry(graceMs);
    if (this.state !== "draining") void this.saveInBackground({ status: "draining" });
  }

  stopWhenDrained(): void {
    if (this.running().commands === 0) this.stop(defaultGraceMs, "DrainRequested", "its last command ended");
  }

  save(change: Partial<StoredState>): Promise<void> {
    return this.stateFile.change(change);
  }

  /** A state that cannot be written must not end what it describes. */
  saveInBackground(change: Partial<StoredState>): Promise<void> {
    return this.save(change).catch((error: unknown) => {
      this.#log.write("error", String(error));
    });
  }
}
