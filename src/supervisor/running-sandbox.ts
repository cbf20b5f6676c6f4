import {
  AgentUnresponsiveError,
  ProtocolError,
  RuntimeError,
  SandboxNotRunningError,
  UnsupportedOperationError,
} from "../errors/index.ts";
import { numberFromEnvironment } from "../host/process/environment-settings.ts";
import { orTimeout } from "../host/or-timeout.ts";
import type { Machine } from "../machine/machine.ts";
import type { MachineExit } from "../machine/types.ts";
import type {
  ExecMessage,
  GuestFlush,
  Message,
  MetricsMessage,
  PausedCalls,
  TellInsideMessage,
  ToldInsideMessage,
  StartJobMessage,
} from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import { startedMarker, stoppedMarker } from "../store/log-format.ts";
import type { FoundSandbox } from "../store/sandboxes.ts";
import type { TerminationReason } from "../store/state.ts";
import type { MachineFacts } from "../start/inputs/machine-facts.ts";
import type { SuspensionRecord } from "../store/suspension.ts";
import {
  copyGuest,
  suspendGuest,
  type CaptureCost,
  type CaptureOptions,
  type GuestCopy,
} from "./services/guest/capture-guest.ts";
import type { AgentLink, CopyIdentity } from "../agent-link/agent-link.ts";
import type { StartedMachine } from "../start/common/context.ts";
import type { Job } from "./jobs/job.ts";
import type { Jobs } from "./jobs/jobs.ts";
import type { Logs } from "./logs/logs.ts";
import { logEvents } from "./logs/machine-log.ts";
import { AgentWatch } from "./services/guest/agent-watch.ts";
import { GuestCommands } from "./services/guest/guest-commands.ts";
import { DiskHolds } from "./services/guest/disk-holds.ts";
import { DiskShortage } from "./services/guest/disk-shortage.ts";
import { FileRelay } from "./services/file-relay.ts";
import { GuestPause } from "./services/guest/guest-pause.ts";
import { GuestShutdown } from "./services/guest/guest-shutdown.ts";
import { TimeLimits } from "./services/guest/time-limits.ts";
import { MetricsSampler } from "./services/metrics-sampler.ts";
import type { SandboxNetwork } from "./services/network/sandbox-network.ts";
import type { ClientStream, Session } from "./services/session.ts";

export interface RunningSandboxOptions {
  readonly sandbox: FoundSandbox;
  readonly started: StartedMachine;
  readonly logs: Logs;
  /** What its guest had open when it was suspended; null: it was not. */
  readonly suspended: SuspensionRecord | null;
  /** null: it has none. */
  readonly network: SandboxNetwork | null;
  /** It has run long enough, or nobody has used it for a while. */
  readonly expired: (reason: Extract<TerminationReason, "MaxDurationExceeded" | "IdleTimeout">) => void;
  /** Whether it is paused has changed, and is to be written down. @throws IoError */
  readonly pauseChanged: (isPaused: boolean) => Promise<void>;
  /** Its guest did not shut down in the time that it was given. */
  readonly overdue: () => void;
  /** Something that whoever started it should know. */
  readonly notice: (message: string) => void;
  /** A command has ended. */
  readonly commandEnded: () => void;
}

/** Each has a thread in the guest while it lasts. */
const mostFileStreams = 256;
/** Bytes of events that programs of the guest are about to be told. */
const mostTelling = 16 * 1024 * 1024;
/** How long a machine whose connection broke may take to end, and what it left there to be read, ms. */
const lastWordsMs = 1_000;

/** A sandbox whose guest runs commands, from the moment it does until its machine has ended. */
export class RunningSandbox {
  readonly machine: Machine;
  readonly network: SandboxNetwork | null;
  readonly #name: string;
  readonly #hasUpper: boolean;
  readonly #started: StartedMachine;
  readonly #logs: Logs;
  readonly #limits: TimeLimits;
  readonly #commands: GuestCommands;
  readonly #metrics: MetricsSampler;
  readonly #shutdown: GuestShutdown;
  readonly #watch: AgentWatch;
  readonly #shortage: DiskShortage;
  readonly #pause: GuestPause;
  readonly #holds: DiskHolds;
  #isCaptured = false;
  #copies = { count: 0, heldMs: 0 };
  #fileStreams = 0;
  #telling = 0;

  constructor({
    sandbox,
    started,
    logs,
    network,
    suspended,
    expired,
    pauseChanged,
    overdue,
    notice,
    commandEnded,
  }: RunningSandboxOptions) {
    const { machine, agent, startedAtMs } = started;
    const { name, config } = sandbox.record;
    this.machine = machine;
    this.network = network;
    this.#name = name;
    this.#hasUpper = config.image.kind === "oci" && config.rootDisk.kind === "managed";
    this.#started = started;
    this.#logs = logs;
    this.#metrics = new MetricsSampler({
      machine,
      agent,
      diskFull: () => this.#shortage.lasts,
      isPaused: () => this.#pause.isHeld || this.#isCaptured,
      network: () => network?.counters ?? null,
      memoryMib: config.memoryMib,
      copies: () => this.#copies,
      hasUpper: config.image.kind === "oci",
      upperPath: sandbox.paths.upper,
      intervalMs: config.metricsSampleIntervalMs,
      startedAtMs,
    });
    this.#limits = new TimeLimits({
      maxDurationSecs: config.maxDurationSecs,
      idleTimeoutSecs: config.idleTimeoutSecs,
      idlePauseSecs: config.idlePauseSecs,
      expired,
      idle: () => {
        this.#sleep();
      },
      inUse: () => network?.isInUse ?? false,
    });
    this.#commands = new GuestCommands({ name, agent, logs, limits: this.#limits, ended: commandEnded });
    this.#shutdown = new GuestShutdown(logs.runtime, config.stopSignal, overdue);
    this.#pause = new GuestPause({
      name,
      machine,
      agent,
      changed: pauseChanged,
      resumed: () => {
        this.#limits.goOn();
        this.jobs.goOn();
      },
    });
    network?.belongTo({
      arrived: () => {
        this.#pause.wake();
      },
      called: () => {
        this.#pause.call();
      },
    });
    this.#shortage = new DiskShortage({
      ...{ machine, log: logs.runtime, notice },
      isPaused: () => this.#pause.isHeld || this.#isCaptured,
    });
    this.#watch = new AgentWatch({
      agent,
      timeoutMs: numberFromEnvironment("MSB_AGENT_TIMEOUT_MS"),
      isHeld: () => this.#shortage.lasts || this.#pause.isHeld || this.#isCaptured,
    });
    this.#holds = new DiskHolds({
      ...{ name, machine, agent, pause: this.#pause, limits: this.#limits, log: logs.runtime },
      obstacle: () => (this.#shortage.lasts ? "it is held, for the host's disk is full" : null),
      path: sandbox.paths.upper,
    });
    logEvents(machine, logs.runtime, () => this.#pause.isHeld || this.#isCaptured);
    logs.exec.write("system", Buffer.from(startedMarker), null);
    // It stands still until it is woken.
    if (suspended !== null) this.#commands.takeOver(suspended);
    this.jobs.begun();
  }

  get jobs(): Jobs {
    return this.#commands.jobs;
  }

  /** Whether the connection to its guest is gone. */
  get isLost(): boolean {
    return this.#agent.lost;
  }

  /** How many commands run. */
  get commands(): number {
    return this.#commands.count;
  }

  exec(request: ExecMessage, client: ClientStream): Session {
    this.#pause.call();
    return this.#commands.exec(request, client);
  }

  startJob(request: StartJobMessage): Job {
    this.#pause.call();
    return this.#commands.startJob(request);
  }

  /** @throws as {@link Jobs.signal}; SandboxPausedError */
  signalJob(id: string, signal: number): void {
    this.#pause.call();
    this.jobs.signal(id, signal);
  }

  /**
   * Writes the guest's memory down, so that the next start goes on with it. Its machine stands still when this resolves; else it goes on.
   *
   * @throws RuntimeError, QmpError, IoError
   */
  async suspend(facts: MachineFacts, directory: string, memoryMib: number): Promise<void> {
    await this.#pause.exclusively(async () => {
      this.#isCaptured = true;
      try {
        await suspendGuest(this.#captureOf(facts, memoryMib), directory);
      } catch (error) {
        this.#isCaptured = false;
        throw error;
      }
      this.jobs.keep();
    });
  }

  /**
   * Copies the guest, which goes on as it was.
   *
   * @throws SandboxNotRunningError, RuntimeError, QmpError, IoError
   */
  async copy(facts: MachineFacts, memoryMib: number, to: GuestCopy): Promise<CaptureCost> {
    const copy = this.#pause.briefly(to.flush, async (wake) => {
      this.#isCaptured = true;
      try {
        const cost = await copyGuest({ ...this.#captureOf(facts, memoryMib), wake }, to);
        this.#copies = { count: this.#copies.count + 1, heldMs: this.#copies.heldMs + cost.heldMs };
        return cost;
      } finally {
        this.#isCaptured = false;
      }
    });
    return await this.#unlessEnding(copy);
  }

  #captureOf(facts: MachineFacts, memoryMib: number): CaptureOptions {
    return { started: this.#started, facts, memoryMib, commands: () => this.#commands.captured() };
  }

  /**
   * Lets a guest that was taken over go on. Resolves when it runs, and knows what time it is: what was said first had to wait for one that was
   * only beginning to.
   *
   * @param copy what one that is a copy is from now on
   */
  async awake(copy: CopyIdentity | null): Promise<void> {
    if (copy === null) this.#agent.goOnAfresh();
    else await this.#agent.becomeCopy(copy);
    await this.#agent.ping();
    this.#agent.setClock();
  }

  /** The same with one that has been told all of it, and has answered: it needs only the word. */
  goOn(): void {
    this.#agent.goOn();
  }

  /** @throws UnsupportedOperationError when the guest writes to no disk of the sandbox's own */
  holdDisk(flush: GuestFlush, client: Stream): StreamHandler {
    if (this.#hasUpper) return this.#holds.hold(flush, client);
    throw new UnsupportedOperationError(`sandbox ${this.#name} has no disk of its own`);
  }

  /** Whoever copies the disk has to do without: what has to be done at once would wait for that. */
  releaseDisk(): void {
    this.#holds.end();
  }

  /** @throws RuntimeError when too much is asked for at a time */
  files(request: Message, client: Stream): StreamHandler {
    this.#pause.call();
    if (this.#fileStreams >= mostFileStreams) {
      throw new RuntimeError(
        `${mostFileStreams} operations on files are under way in sandbox ${this.#name}`,
        {
          hint: "Wait for some of them to end, and close the streams that are not needed any more.",
        },
      );
    }
    const relay = new FileRelay({
      request,
      agent: this.#agent,
      client,
      sandbox: this.#name,
      limits: this.#limits,
      over: () => {
        this.#fileStreams--;
      },
    });
    this.#fileStreams++;
    return relay.clientHandler;
  }

  /** Has the guest tell what its programs tell. */
  listenInside(handler: StreamHandler): Stream {
    return this.#agent.listenInside(handler);
  }

  /** @throws RuntimeError when too much is under way */
  async tellInside(event: TellInsideMessage): Promise<ToldInsideMessage> {
    const bytes = event.data.length;
    if (this.#telling + bytes > mostTelling) {
      throw new RuntimeError(`too many events are on their way into sandbox ${this.#name}`, {
        hint: "Wait for what emit() returns before the next one.",
      });
    }
    this.#pause.call();
    this.#limits.activity();
    this.#telling += bytes;
    try {
      return await this.#unlessEnding(this.#agent.tellInside(event));
    } finally {
      this.#telling -= bytes;
    }
  }

  async ping(): Promise<void> {
    this.#pause.call();
    await this.#unlessEnding(this.#agent.ping());
  }

  /** @returns how many activities there have been */
  touch(): number {
    this.#pause.wake();
    return this.#limits.activity();
  }

  async metrics(): Promise<MetricsMessage> {
    return await this.#unlessEnding(this.#metrics.sample());
  }

  /** @throws as {@link GuestPause.pause} */
  async pause(calls: PausedCalls, flush: boolean): Promise<void> {
    await this.#pause.pause(calls, flush);
    this.#limits.hold();
    this.jobs.hold();
    this.#logs.runtime.write("info", `paused; calls ${calls}`);
  }

  /** @throws QmpError */
  async resume(): Promise<void> {
    await this.#pause.resume();
  }

  /**
   * Asks the guest to shut down; it is killed when it does not in time.
   *
   * @returns false when it has been asked before, and has less time left
   */
  shutDown(graceMs: number): boolean {
    // That has a limit of its own, and a guest that writes back all its memory may be silent for long.
    this.#watch.stop();
    this.#holds.end();
    this.#pause.end();
    return this.#shutdown.begin(this.#started, graceMs);
  }

  kill(): void {
    this.machine.kill();
  }

  /** Ends the machine, after which there is another one of the same sandbox. @param reason what those are told who wait for this one */
  leave(reason: string): void {
    this.#agent.giveUp(new RuntimeError(reason));
    this.machine.kill();
  }

  /** Whether the machine is about to end, which breaks its connections before it is told. */
  async endsBySelf(): Promise<boolean> {
    return (await orTimeout(this.machine.exited, lastWordsMs)) !== null;
  }

  /** Resolves when the machine has ended, its commands know it, and `exec.log` has their last words. */
  async ended(): Promise<MachineExit> {
    const { exec, runtime } = this.#logs;
    const exit = await this.machine.exited;
    this.#holds.end();
    this.#limits.stop();
    this.#watch.stop();
    this.#shortage.stop();
    this.#shutdown.over();
    await this.#endNetwork();
    // The guest's last words may still be on their way: a command's real end counts more than the sandbox's.
    await this.#agent.closed(lastWordsMs);
    await this.#commands.ended(`sandbox ${this.#name} has ended`);
    exec.write("system", Buffer.from(stoppedMarker), null);
    await exec.flush();
    if (exec.failure !== null) runtime.write("error", `part of exec.log is missing: ${String(exec.failure)}`);
    return exit;
  }

  /** Whoever has seen the sandbox end finds in network.log how its flows did. */
  async #endNetwork(): Promise<void> {
    const { network } = this;
    if (network === null) return;
    await network[Symbol.asyncDispose]();
    const { failure } = network.log;
    if (failure !== null)
      this.#logs.runtime.write("error", `part of network.log is missing: ${String(failure)}`);
  }

  /** Nobody has used it for as long as it may run idly: it is paused until somebody does. */
  #sleep(): void {
    const { activities } = this.#limits;
    const isIdle = (): boolean => this.#limits.activities === activities && !this.#pause.isPaused;
    this.#pause.pause("wake", false, isIdle).catch((error: unknown) => {
      this.#logs.runtime.write("warn", `cannot be paused: ${String(error)}`);
    });
  }

  get #agent(): AgentLink {
    return this.#started.agent;
  }

  /** A question that the guest's end left without an answer failed for that reason, not for a lost connection. */
  async #unlessEnding<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof ProtocolError || error instanceof AgentUnresponsiveError) throw error;
      // A machine that ends loses its connections one after the other.
      await this.#agent.closed(lastWordsMs);
      if (!this.#agent.lost) throw error;
      throw new SandboxNotRunningError(`sandbox ${this.#name} is ending`, {
        hint: `Start it again when it has stopped ("msb start ${this.#name}").`,
      });
    }
  }
}
