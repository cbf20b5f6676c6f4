import {
  InvalidConfigError,
  MetricsDisabledError,
  ProtocolError,
  RuntimeError,
  SandboxNotFoundError,
} from "../../errors/index.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import { DirectoryChanges } from "../../host/files/directory-changes.ts";
import {
  findSandbox,
  removeSandbox,
  replaced,
  sandboxPaths,
  type FoundSandbox,
} from "../../store/sandboxes.ts";
import { isTerminal, isUp } from "../../config/enums.ts";
import { isUnlocked } from "../../host/locks/lock.ts";
import type { Home } from "../../store/home.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { notRunning, signalSupervisor, stopSignalOf } from "./found-sandbox.ts";
import { resultOf, resultOfEnded, resultOfGone, type SandboxStopResult } from "./stop-result.ts";
import { orTimeout } from "../../host/or-timeout.ts";
import { SupervisorConnection } from "./connection.ts";
import { checkOneOf } from "../../config/checks.ts";
import {
  GuestFlushes,
  PausedCallsKinds,
  type GuestFlush,
  type PausedCalls,
  type SandboxStatus,
} from "../../config/enums.ts";
import { noParts, type ProgramParts } from "../providers/program-parts.ts";
import { metricsFrom, type SandboxMetrics } from "../metrics/metrics.ts";
import type { OtherOptions } from "../../host/call-options.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { SharedWork } from "../../host/shared-work.ts";
import { longestTimerMs } from "../../host/timers.ts";
import { watchState } from "../sandbox/watch-state.ts";

export interface SandboxPingResult {
  readonly name: string;
  /** Round trip to the guest's agent, ms. */
  readonly latencyMs: number;
}

export interface SandboxTouchResult {
  readonly name: string;
  /** Grows with every activity of the sandbox. */
  readonly activitySeq: number;
}

/** How a sandbox is paused. */
export interface PauseOptions {
  /**
   * `required`: what its programs have written and its disks do not have yet is written first. `auto`, the default, and `skip` leave it in
   * its memory, which is kept.
   */
  readonly guestFlush?: GuestFlush | undefined;
  /** What becomes of calls that need the guest while it is paused: they `fail` (the default), `wait` for its end, or `wake` it. */
  readonly calls?: PausedCalls | undefined;
}

/** Its keys. */
export const pauseOptions = { guestFlush: "any", calls: "any" } as const;

export const defaultGraceMs = 10_000;
export const killWaitMs = 5_000;
export const defaultConnectMs = 10_000;
/** What is not answered sooner is not going to be, ms. */
const answerMs = 10_000;
/** Whoever pauses a sandbox whose disk is being copied, or lets it go on, waits for that. */
const changeMs = 120_000;
/** A memory of many gigabytes has to reach a slow disk. */
const longestCaptureMs = 600_000;
/** Where no event tells of a change (a sandbox that is starting, or whose supervisor was killed), look this often. */
const recheckMs = 250;

/** A connection that is not closed before it was given back. */
export interface BorrowedConnection extends Disposable {
  readonly connection: SupervisorConnection;
}

/** What can be done to a sandbox from outside of it, whoever started it. Shared by Sandbox and SandboxHandle. */
export class SandboxControl {
  readonly home: Home;
  readonly record: SandboxRecord;
  /** What this program has given to it. */
  readonly parts: ProgramParts;
  readonly #keeps: boolean;
  readonly #connecting = new SharedWork<SupervisorConnection>();
  #connection: SupervisorConnection | null;
  #users = 0;

  /**
   * @param keepsConnection false: a connection is closed when nobody waits for an answer on it any more. A sandbox takes 128
   * at most, and one who only looks a sandbox up never says that he is done with it.
   */
  constructor(
    home: Home,
    record: SandboxRecord,
    connection: SupervisorConnection | null,
    keepsConnection: boolean,
    parts: ProgramParts = noParts,
  ) {
    this.home = home;
    this.parts = parts;
    this.record = record;
    this.#connection = connection;
    this.#keeps = keepsConnection;
  }

  get name(): string {
    return this.record.name;
  }

  get id(): string {
    return this.record.id;
  }

  /** @throws SandboxNotFoundError, SandboxReplacedError */
  async find(): Promise<FoundSandbox> {
    const found = await findSandbox(this.home, this.name);
    if (found.record.id !== this.id) throw replaced(this.name);
    return found;
  }

  /**
   * The connection to the running sandbox, made when there is none: one for all who ask for it at the same time.
   *
   * @throws SandboxNotRunningError, RuntimeError
   */
  async connect(operation: Operation, timeoutMs = defaultConnectMs): Promise<SupervisorConnection> {
    operation.throwIfOver();
    if (this.#connection?.lost === false) return this.#connection;
    operation.log("connecting to the sandbox's supervisor");
    return await this.#connecting.wait(operation, (signal) => this.#makeConnection(timeoutMs, signal));
  }

  /**
   * The same, kept until it is given back.
   *
   * @throws as {@link connect}
   */
  async borrow(operation: Operation): Promise<BorrowedConnection> {
    this.#users++;
    try {
      const connection = await this.connect(operation);
      let isBorrowed = true;
      const giveBack = (): void => {
        if (isBorrowed) this.#giveBack();
        isBorrowed = false;
      };
      return { connection, [Symbol.dispose]: giveBack };
    } catch (error) {
      this.#giveBack();
      throw error;
    }
  }

  async #makeConnection(timeoutMs: number, signal: AbortSignal): Promise<SupervisorConnection> {
    const found = await this.find();
    const { socket } = found.state;
    if (!isUp(found.status) || socket === null) {
      throw notRunning(this.name, found.status);
    }
    signal.throwIfAborted();
    try {
      const made = await SupervisorConnection.connect(socket, this.id, timeoutMs, signal);
      // Nobody is left who would close it.
      if (signal.aborted) made.close();
      else this.#connection = made;
      return made;
    } catch (error) {
      signal.throwIfAborted();
      // It may have ended between the look and the call.
      const now = await this.find();
      if (now.status !== found.status) throw notRunning(this.name, now.status);
      throw error;
    }
  }

  /**
   * A request that needs a running sandbox.
   *
   * @throws RuntimeError when it is not answered in time
   */
  async request<T extends Message["type"]>(
    operation: Operation,
    message: Message,
    answer: T,
    limitMs = answerMs,
  ): Promise<Extract<Message, { type: T }>> {
    return await this.#use(operation, async (connection) => {
      operation.log(`asking the supervisor: ${message.type}`);
      const received = await connection.request(message, operation.signal, {
        ms: limitMs,
        error: () =>
          new RuntimeError(`sandbox ${this.name} did not answer within ${limitMs} ms`, {
            hint: `If it goes on like this, end it: msb stop -f ${this.name}`,
          }),
      });
      if (received.type !== answer)
        throw new ProtocolError(`the supervisor answered ${message.type} with ${received.type}`);
      return received as Extract<Message, { type: T }>;
    });
  }

  /** Does something to the sandbox that its caller waits for. @param name as in `stop sandbox` */
  run<T>(
    name: string,
    options: WaitOptions,
    work: (operation: Operation) => Promise<T>,
    others?: OtherOptions,
  ): Promise<T> {
    return Operation.run(`${name} ${this.name}`, options, work, others);
  }

  async ping(operation: Operation): Promise<SandboxPingResult> {
    return await this.#use(operation, async () => {
      const begun = performance.now();
      await this.request(operation, { type: "Ping", nonce: 0 }, "Pong");
      return { name: this.name, latencyMs: performance.now() - begun };
    });
  }

  async touch(operation: Operation): Promise<SandboxTouchResult> {
    const { activitySequence } = await this.request(operation, { type: "Touch" }, "Touched");
    return { name: this.name, activitySeq: activitySequence };
  }

  /** @throws MetricsDisabledError */
  requireMetrics(): void {
    if (this.record.config.metricsSampleIntervalMs === 0) {
      throw new MetricsDisabledError(`sandbox ${this.name} was created without metrics`, {
        hint: "Create it without disableMetricsSample().",
      });
    }
  }

  async metrics(operation: Operation): Promise<SandboxMetrics> {
    this.requireMetrics();
    return metricsFrom(await this.request(operation, { type: "MetricsRequest" }, "Metrics"));
  }

  /**
   * Asks for the end and waits for it; what does not end in its grace is killed.
   *
   * @throws InvalidConfigError for a grace that is no time
   */
  async stop(operation: Operation, graceMs: number): Promise<SandboxStopResult> {
    const grace = checkMs("the grace", graceMs);
    operation.log(`grace ${grace} ms`);
    return await this.#endWithin(operation, { type: "Stop", graceMs: grace }, grace + killWaitMs);
  }

  async requestStop(operation: Operation, graceMs: number): Promise<void> {
    await this.#requestEnd(operation, { type: "Stop", graceMs: checkMs("the grace", graceMs) });
  }

  /**
   * Ends the VM at once and waits to see it end.
   *
   * @param waitMs what has not ended by then is killed together with its supervisor. A supervisor always gets the time it
   * needs to write down how its sandbox ended
   */
  async kill(operation: Operation, waitMs: number): Promise<SandboxStopResult> {
    const wait = checkMs("the time to wait", waitMs);
    // One that starts may have to be taken down in order.
    const starting = (await this.find().catch(() => null))?.status === "starting";
    const needed = starting ? defaultGraceMs + killWaitMs : killWaitMs;
    return await this.#endWithin(operation, { type: "Kill" }, Math.max(wait, needed));
  }

  async requestKill(operation: Operation): Promise<void> {
    await this.#requestEnd(operation, { type: "Kill" });
  }

  /**
   * Ends the VM of an ephemeral sandbox at once. From then on nobody finds it; its process ends when it has removed what is left.
   *
   * @throws RuntimeError when it does not run, or is none
   */
  async discard(operation: Operation): Promise<void> {
    await this.request(operation, { type: "Discard" }, "Done");
  }

  async requestDrain(operation: Operation): Promise<void> {
    const { status } = await this.find();
    if (isUp(status)) await this.request(operation, { type: "Drain" }, "Done");
    else if (status === "starting") throw notRunning(this.name, status);
  }

  async pause(operation: Operation, { guestFlush = "auto", calls = "fail" }: PauseOptions): Promise<void> {
    checkOneOf("calls", calls, PausedCallsKinds);
    const flush = checkOneOf("guestFlush", guestFlush, GuestFlushes) === "required";
    await this.request(operation, { type: "Pause", calls, flush }, "Done", changeMs);
  }

  /** Has the guest copied into a directory that is there, while it goes on. @param flush its disks get what they do not have yet before */
  async capture(operation: Operation, directory: string, flush: boolean): Promise<void> {
    await this.request(operation, { type: "Capture", directory, flush }, "Captured", longestCaptureMs);
  }

  /** Has the guest written down, and waits for the end of its machine. */
  async suspend(operation: Operation): Promise<void> {
    await this.request(operation, { type: "Suspend" }, "Done", longestCaptureMs);
    await this.waitUntilStopped(operation);
  }

  async resume(operation: Operation): Promise<void> {
    await this.request(operation, { type: "Resume" }, "Done", changeMs);
  }

  /** Resolves when the sandbox has ended, or at once when it does not run. Never ends it. */
  async waitUntilStopped(operation: Operation): Promise<SandboxStopResult> {
    for (;;) {
      operation.throwIfOver();
      let found: FoundSandbox;
      try {
        found = await this.find();
      } catch (error) {
        if (error instanceof SandboxNotFoundError) return resultOfGone(this.name);
        throw error;
      }
      const down = isTerminal(found.status);
      if (down && (await isUnlocked(found.paths.lock))) return resultOf(found);
      // Somebody starts it and has not said so on disk yet, or its supervisor is about to leave.
      if (down || found.status === "starting") {
        await this.waitForChange(operation);
        continue;
      }
      try {
        const ended = await this.#use(operation, (connection) => {
          operation.log("waiting for the supervisor to tell of the end");
          return watchState(connection, () => false, operation.signal);
        });
        if (ended !== null) return resultOfEnded(this.name, ended);
      } catch {
        operation.throwIfOver();
        // The supervisor is gone without a word, or is about to be: what is on disk tells.
        await this.waitForChange(operation);
      }
    }
  }

  /** Resolves when the sandbox has this status. */
  async waitForStatus(operation: Operation, status: SandboxStatus): Promise<FoundSandbox> {
    for (;;) {
      const found = await this.find();
      if (found.status === status) return found;
      operation.log(`it is ${found.status}`);
      if (isUp(found.status) && (await this.#watchFor(operation, status))) {
        // The supervisor tells of what is on disk, unless it could not write.
        const now = await this.find();
        if (now.status === status) return now;
      }
      await this.waitForChange(operation);
    }
  }

  /** Waits for the supervisor's word on a status, or on the end. @returns whether there was one */
  async #watchFor(operation: Operation, status: SandboxStatus): Promise<boolean> {
    const { signal } = operation;
    try {
      await this.#use(operation, (connection) => watchState(connection, (state) => state === status, signal));
      return true;
    } catch {
      operation.throwIfOver();
      return false;
    }
  }

  remove(): Promise<void> {
    return removeSandbox(this.home, this.name, this.id);
  }

  /** The sandbox was started again: what it is spoken with from now on is this one's. */
  takeOver(started: SandboxControl): void {
    this.disconnect();
    if (this.#keeps) this.#connection = started.#connection;
    else started.disconnect();
  }

  /** Drops the connection. As the owner of an attached sandbox this ends it. */
  disconnect(): void {
    this.#connection?.close();
    this.#connection = null;
  }

  /** The sandbox may be gone because it ended meanwhile: then that is the error, not the lost connection. */
  async explainLoss<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof RuntimeError) || this.#connection?.lost !== true) throw error;
      const found = await this.find().catch(() => null);
      if (found !== null && isTerminal(found.status)) throw notRunning(this.name, found.status);
      throw error;
    }
  }

  /** @param over aborted when the end was seen: what starts from then on is another run, and not to be ended */
  async #requestEnd(operation: Operation, message: Message, over?: AbortSignal): Promise<void> {
    operation.throwIfOver();
    let found: FoundSandbox;
    try {
      found = await this.find();
    } catch (error) {
      // Gone already: an ephemeral one, or one that somebody else removed.
      if (error instanceof SandboxNotFoundError) return;
      throw error;
    }
    if (over?.aborted === true) return;
    if (isTerminal(found.status)) {
      if (await isUnlocked(found.paths.lock)) return;
      await this.waitForChange(operation);
      await this.#requestEnd(operation, message, over);
      return;
    }
    if (found.status === "starting") {
      operation.log("it is starting: a signal to its supervisor");
      await signalSupervisor(found, stopSignalOf(found));
      return;
    }
    try {
      await this.request(operation, message, "Done");
    } catch (error) {
      operation.throwIfOver();
      const now = await this.find().catch(() => null);
      if (now === null || isTerminal(now.status)) return;
      // Another run is not the one that was to end.
      if (now.state.supervisor?.started !== found.state.supervisor?.started) return;
      // Its process does not answer, or speaks another version of the protocol.
      if (error instanceof RuntimeError || error instanceof ProtocolError)
        await signalSupervisor(now, stopSignalOf(now));
      else throw error;
    }
  }

  /** Waits for the end that was asked for. A supervisor that hangs does not even answer; QEMU dies with it. */
  async #endWithin(operation: Operation, message: Message, ms: number): Promise<SandboxStopResult> {
    const over = new AbortController();
    const ended = this.waitUntilStopped(operation);
    ended.catch(() => undefined);
    const requested = this.#requestEnd(operation, message, over.signal);
    const seen = await orTimeout(Promise.race([ended, requested.then(() => ended)]), ms);
    over.abort();
    if (seen !== null) return seen;
    const found = await this.find();
    operation.log(`it did not end within ${ms} ms: SIGKILL to its supervisor`);
    await signalSupervisor(found, "SIGKILL");
    const atLast = await orTimeout(ended, killWaitMs);
    if (atLast !== null) return atLast;
    throw new RuntimeError(`sandbox ${this.name} did not end`, {
      hint: `End its process ${found.state.supervisor?.pid ?? ""} by hand.`,
    });
  }

  async #use<T>(operation: Operation, work: (connection: SupervisorConnection) => Promise<T>): Promise<T> {
    using borrowed = await this.borrow(operation);
    return await this.explainLoss(work(borrowed.connection));
  }

  #giveBack(): void {
    this.#users--;
    if (this.#users === 0 && !this.#keeps) this.disconnect();
  }

  /** Resolves when something in the sandbox's directory changed, or after a moment. */
  async waitForChange(operation: Operation): Promise<void> {
    using changes = new DirectoryChanges([sandboxPaths(this.home, this.name).directory], recheckMs);
    await operation.wait(changes.next());
  }
}

/** @throws InvalidConfigError */
export function checkMs(name: string, ms: number): number {
  if (typeof ms !== "number" || Number.isNaN(ms) || ms < 0) {
    throw new InvalidConfigError(`${name} is ${String(ms)}, which is not a number of milliseconds`);
  }
  return Math.min(Math.ceil(ms), longestTimerMs - killWaitMs);
}
