import type { Duplex } from "node:stream";
import {
  CustomError,
  ProtocolError,
  RuntimeError,
  SandboxNotRunningError,
  UnsupportedOperationError,
} from "../errors/index.ts";
import type { CopyIdentity } from "../agent-link/agent-link.ts";
import type { MachineExit } from "../machine/types.ts";
import { encodeFailure } from "../protocol/failure.ts";
import { signalNumber } from "../protocol/signals.ts";
import type {
  EndedMessage,
  ExecMessage,
  GuestFlush,
  Message,
  MetricsMessage,
  PausedCalls,
  SandboxState,
  TellInsideMessage,
  ToldInsideMessage,
} from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import { identifyProcess } from "../host/process/process-identity.ts";
import { socketPath, type Home } from "../store/home.ts";
import type { SandboxState as StoredState, TerminationReason } from "../store/state.ts";
import type { StartOutcome } from "../start/start.ts";
import { readSuspension, type SuspensionRecord } from "../store/suspension.ts";
import { decideRollback } from "../store/checkpoints/settle-checkpoints.ts";
import { Checkpoints } from "./checkpoints/checkpoints.ts";
import { copySandbox, ending, HostShutdown, Suspending } from "./suspending.ts";
import { requireNoProviders } from "../config/mounts/provider-mounts.ts";
import { BackgroundJobs } from "./background-jobs.ts";
import { clearBootError, recordBootError } from "./boot-error-file.ts";
import type { Client, ClientServices } from "./clients/client.ts";
import { Clients } from "./clients/clients.ts";
import { finishSandbox } from "./finish-sandbox.ts";
import { markPatched, setAside, sweepLeftovers, type FoundSandbox } from "../store/sandboxes.ts";
import { closeLogs, openLogs, watchLogs, type Logs } from "./logs/logs.ts";
import { endingOf } from "./logs/exit-reason.ts";
import { logExit } from "./logs/machine-log.ts";
import { RunningSandbox } from "./running-sandbox.ts";
import { SandboxEnd } from "./sandbox-end.ts";
import { SandboxStart, type GuestSource, type StartedGuest } from "./sandbox-start.ts";
import { SandboxEvents } from "./services/events/sandbox-events.ts";
import type { CaptureCost } from "./services/guest/capture-guest.ts";
import type { NetworkSettings, SandboxNetwork } from "./services/network/sandbox-network.ts";
import type { Session, ClientStream } from "./services/session.ts";
import { StateFile, startingState } from "./state-file.ts";

export interface SupervisorOptions {
  readonly home: Home;
  readonly sandbox: FoundSandbox;
  /** The connection of the process that starts the sandbox. */
  readonly owner: Duplex;
  /** Whether the sandbox ends with that connection. */
  readonly attached: boolean;
  readonly guest: GuestSource;
  /** Gives up the sandbox's lock: from then on it may be started or removed by others. */
  readonly releaseLock: () => void;
}

/** What a stop that nobody gave a grace for allows, ms. */
const defaultGraceMs = 10_000;
/** How long those who listen to events may take for the last of them, ms. */
const lastEventsMs = 2_000;

/** Whether there is a sandbox: not yet, now, or not any more. */
type Phase =
  | { readonly kind: "starting" }
  | { readonly kind: "running"; readonly sandbox: RunningSandbox }
  | { readonly kind: "over" };

/** The process that owns one sandbox from its start to its end: its state file, its lock, its clients, its signals. */
export class Supervisor implements ClientServices {
  readonly id: string;
  readonly name: string;
  readonly #options: SupervisorOptions;
  readonly #logs: Logs;
  readonly #clients: Clients;
  readonly #jobs = new BackgroundJobs((error) => {
    this.#logs.runtime.write("debug", `left undone: ${String(error)}`);
  });
  #beganAtMs = performance.now();
  readonly #stateFile: StateFile;
  readonly #starting = new AbortController();
  /** Where the sandbox is put when it is discarded. */
  #discarding: Promise<string> | null = null;
  #phase: Phase = { kind: "starting" };
  readonly #checkpoints: Checkpoints;
  /** Its machine ends without it; told what came of it. null: that ends it too. */
  #goingBack: {
    readonly network: NetworkSettings | null;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  } | null = null;
  /** Its last machine has ended. */
  #isOver = false;
  #attached: boolean;
  readonly #start: SandboxStart;
  readonly #suspending: Suspending;
  readonly #hostShutdown: HostShutdown;
  /** What its machine was made of, once there is one. */
  #facts: StartOutcome["facts"] | null = null;
  readonly #end = new SandboxEnd();
  readonly #events = new SandboxEvents();

  private constructor(options: SupervisorOptions, logs: Logs) {
    this.#options = options;
    this.#logs = logs;
    this.#stateFile = new StateFile(options.sandbox.paths.state, options.sandbox.state);
    this.#tellStates();
    this.#suspending = new Suspending(options.sandbox);
    this.#checkpoints = new Checkpoints(options.home, options.sandbox);
    this.#hostShutdown = new HostShutdown(options.sandbox, {
      isEnding: () => this.#end.ending !== null && !this.#suspending.isUnderWay,
      suspend: () => {
        // How long the host waits is not known.
        this.#running().releaseDisk();
        return this.suspend();
      },
      stop: (detail) => {
        this.#stop(defaultGraceMs, "Signal", detail);
      },
      log: logs.runtime,
    });
    this.#attached = options.attached;
    this.id = options.sandbox.record.id;
    this.name = options.sandbox.record.name;
    this.#clients = new Clients(options.owner, socketPath(options.home, this.id), this);
    this.#start = new SandboxStart({
      ...{ home: options.home, sandbox: options.sandbox, guest: options.guest },
      ...{ logs, owner: this.#clients.owner, notice: this.#notice },
      progress: (stage) => {
        const elapsedMs = this.#elapsedMs();
        logs.runtime.write("debug", `${stage} after ${elapsedMs} ms`);
        this.#tellOwner({ type: "StartProgress", stage, elapsedMs });
      },
      background: (job) => {
        this.#jobs.add(job);
      },
      agentLost: (error) => {
        void this.#agentLost(error);
      },
      terminate: (reason) => {
        logs.runtime.write("error", `the sandbox ends: ${reason}`);
        this.#stop(defaultGraceMs, "SecretViolation", reason);
      },
      portsChanged: (ports) => this.#save({ ports: [...ports] }),
    });
  }

  /** Runs the sandbox; resolves when it has ended and everything is on disk. */
  static async run(options: SupervisorOptions): Promise<void> {
    const { paths, record } = options.sandbox;
    const supervisor = new Supervisor(options, await openLogs(paths, record.config));
    process.on("SIGTERM", () => {
      supervisor.#hostShutdown.begin(supervisor.#phase.kind === "running", supervisor.#facts !== null);
    });
    // From whoever wants it stopped, whatever is to become of it with the host.
    process.on("SIGINT", () => {
      supervisor.#stop(defaultGraceMs, "Signal", "its supervisor got SIGINT");
    });
    await supervisor.#run();
  }

  get state(): SandboxState {
    const { status } = this.#stateFile.state;
    // What clients hear of begins with the start.
    if (status === "created") return "starting";
    return status === "suspended" ? "stopped" : status;
  }

  admit(): void {
    this.#clients.admit();
  }

  exec(request: ExecMessage, client: ClientStream): Session {
    if (this.state === "draining") {
      throw new RuntimeError(`sandbox ${this.name} is draining and takes no new commands`, {
        hint: "Start it again when it has stopped.",
      });
    }
    return this.#running().exec(request, client);
  }

  files(request: Message, client: Stream): StreamHandler {
    return this.#running().files(request, client);
  }

  /** @throws SandboxNotRunningError, also when it is about to end */
  holdDisk(flush: GuestFlush, client: Stream): StreamHandler {
    const sandbox = this.#running();
    if (this.#end.ending !== null || this.state === "draining") throw ending(this.name);
    return sandbox.holdDisk(flush, client);
  }

  async ping(): Promise<void> {
    await this.#running().ping();
  }

  touch(): number {
    return this.#running().touch();
  }

  async metrics(): Promise<MetricsMessage> {
    return await this.#running().metrics();
  }

  network(): SandboxNetwork {
    const { network } = this.#running();
    if (network !== null) return network;
    throw new UnsupportedOperationError(`sandbox ${this.name} has no network`, {
      hint: "Create it without disableNetwork().",
    });
  }

  /** @throws UnsupportedOperationError when it has mounts that its program provides */
  detach(): void {
    requireNoProviders(this.#options.sandbox.record.config.mounts, `sandbox ${this.name}`);
    this.#attached = false;
  }

  stop(graceMs: number): void {
    this.#logs.runtime.write("info", `stop requested, ${graceMs} ms of grace`);
    this.#stop(graceMs, "ShutdownRequested", "a client asked for it");
  }

  kill(): void {
    this.#end.decide("Signal", "it was killed", false);
    this.#starting.abort(new CustomError(`sandbox ${this.name} was killed while it started`));
    if (this.#phase.kind === "running") this.#phase.sandbox.kill();
  }

  /** Resolves when whoever looks sees it. @throws as {@link RunningSandbox.pause}; IoError */
  async pause(calls: PausedCalls, flush: boolean): Promise<void> {
    if (this.state === "draining") throw this.#notRunning();
    await this.#running().pause(calls, flush);
  }

  async resume(): Promise<void> {
    await this.#running().resume();
  }

  /** Resolves when the guest is on the disk; then its machine ends. @throws as {@link Suspending.suspend} */
  async suspend(): Promise<void> {
    const sandbox = this.#running();
    if (this.#facts === null || (this.#end.ending !== null && !this.#suspending.isUnderWay))
      throw ending(this.name);
    this.#logs.runtime.write("info", "suspend requested");
    // Whoever wants its end meanwhile gets this one, unless it fails: then his is the one.
    const takeBack = this.#end.decide("Suspended", "it was suspended", false);
    try {
      await this.#suspending.suspend(sandbox, this.#facts);
    } catch (error) {
      takeBack();
      // That was told meanwhile, and the end that was decided on was to be soon.
      if (sandbox.isLost && this.#end.ending === null) {
        this.#end.decide("AgentUnresponsive", "the connection to the guest was lost", true);
        sandbox.kill();
      }
      throw error;
    }
    sandbox.kill();
  }

  /** Copies the sandbox, which goes on, into a directory that is there. @throws as {@link copySandbox} */
  async capture(directory: string, flush: boolean): Promise<CaptureCost> {
    const cost = await this.#copy(directory, flush);
    this.#events.lifecycle("copied", { heldMs: cost.heldMs, ownBytes: cost.ownBytes });
    return cost;
  }

  async #copy(directory: string, flush: boolean): Promise<CaptureCost> {
    const sandbox = this.#running();
    if (this.#facts === null || this.#end.ending !== null) throw ending(this.name);
    const cost = await copySandbox(this.#options.sandbox, sandbox, await this.#facts(), { directory, flush });
    this.#requireNotStopping();
    const { heldMs, ownBytes } = cost;
    this.#logs.runtime.write("info", `copied; held ${heldMs.toFixed(0)} ms, ${ownBytes} bytes of its own`);
    return cost;
  }

  /** What was copied of a guest that shuts down would do so as well. A suspension has waited for the copy. */
  #requireNotStopping(): void {
    const reason = this.#end.ending?.reason ?? null;
    if (reason !== null && reason !== "Suspended") throw ending(this.name);
  }

  /** @throws as {@link Checkpoints.make}, and {@link capture} */
  async makeCheckpoint(name: string, flush: boolean): Promise<CaptureCost> {
    const cost = await this.#checkpoints.make(name, (directory) => this.#copy(directory, flush));
    this.#events.lifecycle("checkpoint", { name, heldMs: cost.heldMs });
    return cost;
  }

  /**
   * Resolves when the sandbox runs as it was at the checkpoint.
   *
   * @throws as {@link Checkpoints.goBack}: it goes on as it was; what a start throws: it has ended, and the next start goes back
   */
  async rollBack(checkpoint: string): Promise<void> {
    this.#requireToGoOn(this.#running());
    await this.#checkpoints.goBack(checkpoint, async () => {
      const sandbox = this.#running();
      this.#requireToGoOn(sandbox);
      this.#logs.runtime.write("info", `goes back to the checkpoint ${checkpoint}`);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#goingBack = { network: sandbox.network?.settings ?? null, resolve, reject };
      this.#phase = { kind: "starting" };
      void this.#saveInBackground({ status: "starting" });
      this.#events.leave();
      sandbox.leave(`sandbox ${this.name} went back to its checkpoint ${checkpoint}`);
      await promise;
      this.#events.lifecycle("rolled-back", { checkpoint });
    });
  }

  /** @throws SandboxNotRunningError for one whose end was decided on */
  #requireToGoOn(sandbox: RunningSandbox): void {
    if (this.#isOver || sandbox.isLost || this.#end.ending !== null || this.state === "draining")
      throw ending(this.name);
  }

  /** Resolves when whoever looks sees that the sandbox drains. */
  async drain(): Promise<void> {
    if (this.state === "draining") return;
    const { commands } = this.#running();
    await this.resume();
    this.#logs.runtime.write("info", `drain requested, ${commands} commands running`);
    const saved = this.#saveInBackground({ status: "draining", reason: "DrainRequested" });
    this.#stopWhenDrained();
    await saved;
  }

  /** Resolves when nobody finds the sandbox any more. @throws RuntimeError for one that is to be kept; IoError */
  async discard(): Promise<void> {
    const sandbox = this.#running();
    if (!this.#options.sandbox.record.config.ephemeral)
      throw new RuntimeError(`sandbox ${this.name} is not ephemeral: it can be stopped, and then removed`);
    this.#end.decide("Signal", "it was discarded", false);
    this.#attached = false;
    this.#discarding ??= this.#setAside();
    // The guest takes no time to end that anyone would wait for.
    this.#discarding.catch(() => undefined).finally(() => sandbox.kill());
    await this.#discarding;
  }

  async #setAside(): Promise<string> {
    const { home, sandbox } = this.#options;
    await this.#stateFile.leaveDisk();
    return await setAside(home, sandbox.paths, this.id);
  }

  watchState(changed: () => void): () => void {
    return this.#stateFile.watch(changed);
  }

  watchLogs(changed: () => void): () => void {
    return watchLogs(this.#logs, changed);
  }

  watchEvents(names: readonly string[], client: Stream): StreamHandler {
    return this.#events.watch(names, client);
  }

  async tellInside(event: TellInsideMessage): Promise<ToldInsideMessage> {
    return await this.#running().tellInside(event);
  }

  /** Whoever listens is told of each state that the sandbox comes to. */
  #tellStates(): void {
    let before = this.#stateFile.state.status;
    this.#stateFile.watch(({ status }) => {
      if (status === before) return;
      const isResumed = before === "paused" && status === "running";
      before = status;
      this.#events.lifecycle(isResumed ? "resumed" : status);
    });
  }

  onEnded(callback: (ended: EndedMessage) => void): () => void {
    return this.#end.watch(callback);
  }

  disconnected(client: Client): void {
    this.#clients.remove(client);
    // A program that owns it ends with the host too, which is no wish for another end.
    if (client !== this.#clients.owner || !this.#attached || this.#hostShutdown.isUnderWay) return;
    this.#logs.runtime.write("info", "the owner is gone");
    this.#stop(defaultGraceMs, "ShutdownRequested", "the process that owned it ended");
  }

  async #run(): Promise<void> {
    let sandbox: RunningSandbox;
    const { signal } = this.#starting;
    try {
      const socket = socketPath(this.#options.home, this.id);
      // True in memory at once: what is saved later comes after it.
      const saved = this.#save(startingState(await identifyProcess(process.pid), socket));
      // The machine need not wait for the disk.
      saved.catch((error: unknown) => {
        this.#starting.abort(error);
      });
      sandbox = await this.#bringUp(await this.#start.run(signal), true);
      await saved;
    } catch (error) {
      await this.#startFailed(error);
      await this.#leave();
      return;
    }
    const exit = await this.#lastExit(sandbox);
    if (exit !== null) await this.#finish(exit);
    await this.#leave();
  }

  /** Goes back as often as somebody wants. @returns the end of the last machine; null when there was none more, which is told already */
  async #lastExit(first: RunningSandbox): Promise<MachineExit | null> {
    let sandbox = first;
    for (;;) {
      const exit = await sandbox.ended();
      const goingBack = this.#goingBack;
      this.#isOver = goingBack === null;
      if (goingBack === null) return exit;
      try {
        sandbox = await this.#goBack(goingBack.network);
        goingBack.resolve();
      } catch (error) {
        this.#isOver = true;
        await this.#startFailed(error);
        goingBack.reject(error);
        return null;
      }
    }
  }

  /** Its machine has ended, and what it goes back to is gathered. */
  async #goBack(network: NetworkSettings | null): Promise<RunningSandbox> {
    const { signal } = this.#starting;
    signal.throwIfAborted();
    this.#beganAtMs = performance.now();
    await decideRollback(this.#options.sandbox.paths.directory);
    this.#goingBack = null;
    return await this.#bringUp(await this.#start.runAgain(network, signal), false);
  }

  async #bringUp({ outcome, network }: StartedGuest, isFirst: boolean): Promise<RunningSandbox> {
    this.#facts = outcome.facts;
    const sandbox = new RunningSandbox({
      suspended: outcome.suspended,
      sandbox: this.#options.sandbox,
      started: outcome.started,
      logs: this.#logs,
      network,
      expired: (reason) => {
        this.#stop(defaultGraceMs, reason, reason === "IdleTimeout" ? "nobody used it" : "its time was over");
      },
      pauseChanged: async (isPaused) => {
        // One that is on its way to its end, or back, stays on it.
        if (this.#phase.kind === "running" && this.#stateFile.state.status !== "draining")
          await this.#save({ status: isPaused ? "paused" : "running" });
      },
      overdue: () => {
        this.kill();
      },
      notice: this.#notice,
      commandEnded: () => {
        const { status, reason } = this.#stateFile.state;
        if (status === "draining" && reason === "DrainRequested") this.#stopWhenDrained();
      },
    });
    this.#phase = { kind: "running", sandbox };
    this.#events.begin({
      listenInside: (handler) => sandbox.listenInside(handler),
      networkLog: network?.log ?? null,
    });
    const { paths, record } = this.#options.sandbox;
    const { suspended } = outcome;
    await Promise.all([
      suspended === null ? null : sandbox.awake(this.#copyOf(suspended)),
      // From here on it is a sandbox that can be started again.
      record.config.patches.length > 0 ? markPatched(paths) : null,
      clearBootError(paths.bootError),
    ]);
    if (isFirst) await this.#clients.listen();
    const { accelerator } = sandbox.machine;
    const { route, reason } = outcome;
    const elapsedMs = this.#elapsedMs();
    const ports = [...this.#start.ports];
    await this.#save({ status: "running", accelerator, start: { route, reason, elapsedMs }, ports });
    if (isFirst) this.#tellOwner({ type: "Started", accelerator, route, reason, elapsedMs });
    this.#jobs.start();
    // The owner may have left, or somebody asked for the end, while the guest booted.
    if (this.#end.ending !== null) this.#shutDownGuest(defaultGraceMs);
    else this.#hostShutdown.running();
    return sandbox;
  }

  #copyOf({ source, notify }: SuspensionRecord): CopyIdentity | null {
    const { name, config } = this.#options.sandbox.record;
    const signal = notify === null ? 0 : (signalNumber(notify) ?? 0);
    return source === null ? null : { hostname: config.hostname, name, source, signal };
  }

  async #startFailed(error: unknown): Promise<void> {
    const { runtime } = this.#logs;
    const { guest, sandbox } = this.#options;
    const stopRequested = this.#end.ending !== null;
    const failure = encodeFailure(error);
    runtime.write(stopRequested ? "info" : "error", `start failed: ${failure.message}`);
    if (!stopRequested) await recordBootError(sandbox.paths.bootError, error).catch(() => undefined);
    guest.abandon();
    if (this.#phase.kind === "running") {
      this.#phase.sandbox.kill();
      await this.#phase.sandbox.machine.exited;
    }
    const isSuspended = (await readSuspension(sandbox.paths.directory).catch(() => null)) !== null;
    await this.#finishSandbox(null, {
      status: isSuspended ? "suspended" : "stopped",
      reason: this.#end.ending?.reason ?? "Failed",
      detail: this.#end.ending?.detail ?? failure.message,
    });
    this.#tellOwner(failure);
  }

  async #finish(exit: MachineExit): Promise<void> {
    // What ended it may have kept it from being suspended: then that is why it has ended.
    await this.#suspending.settled();
    const ending = this.#end.ending ?? endingOf(exit);
    logExit(this.#logs.runtime, ending, exit);
    await this.#finishSandbox(exit, {
      status: ending.reason === "Suspended" ? "suspended" : ending.crashed ? "crashed" : "stopped",
      reason: ending.reason,
      detail: ending.detail,
      exitCode: exit.code,
      signal: exit.signal,
    });
  }

  async #finishSandbox(exit: MachineExit | null, change: Partial<StoredState>): Promise<void> {
    this.#attached = false;
    await this.#start.release();
    const aside = this.#discarding === null ? null : await this.#discarding.catch(() => null);
    const remains = { ...this.#options, stateFile: this.#stateFile, clients: this.#clients, aside };
    const finished = finishSandbox(remains, this.#logs.runtime, exit, change);
    this.#phase = { kind: "over" };
    const ended = await finished;
    this.#events.end(ended);
    this.#end.reached(ended);
  }

  async #leave(): Promise<void> {
    const idle = this.#jobs.end();
    // Let the answers to those who wait for the end go out first.
    await new Promise(setImmediate);
    await this.#events.taken(lastEventsMs);
    await this.#clients.farewell();
    // Whoever makes only sandboxes that remove themselves has nobody else who clears away what a killed supervisor has left.
    if (this.#options.sandbox.record.config.ephemeral) await sweepLeftovers(this.#options.home);
    await idle;
    await closeLogs(this.#logs);
  }

  /** The one place where what needs a running sandbox is refused. @throws SandboxNotRunningError */
  #running(): RunningSandbox {
    if (this.#phase.kind === "running") return this.#phase.sandbox;
    throw this.#notRunning();
  }

  #notRunning(): SandboxNotRunningError {
    return new SandboxNotRunningError(`sandbox ${this.name} is ${this.state}`, {
      hint: `Start it ("msb start ${this.name}").`,
    });
  }

  #stopWhenDrained(): void {
    if (this.#running().commands === 0)
      this.#stop(defaultGraceMs, "DrainRequested", "its last command ended");
  }

  async #agentLost(error: Error | null): Promise<void> {
    // The guest that the sandbox goes back from ends without it.
    if (this.#goingBack !== null) return;
    const running = this.#phase.kind === "running" ? this.#phase.sandbox : null;
    if (!(error instanceof ProtocolError)) {
      // An orderly power-off closes the connection just before QEMU reports it, and so does a QEMU that crashes.
      if (running !== null && (error === null || (await running.endsBySelf()))) return;
      // The end that was asked for goes on, and has its own limit. A guest that breaks the protocol does not wait for it.
      if (this.#end.ending !== null) return;
    }
    const detail = error === null ? "the guest closed its connection" : error.message;
    this.#logs.runtime.write("error", `lost the guest: ${detail}`);
    this.#end.decide("AgentUnresponsive", detail, true);
    if (this.#phase.kind === "running") this.#phase.sandbox.kill();
  }

  #stop(graceMs: number, reason: TerminationReason, detail: string): void {
    this.#end.decide(reason, detail, false);
    this.#starting.abort(new CustomError(`sandbox ${this.name} was stopped while it started`));
    this.#shutDownGuest(graceMs);
  }

  #shutDownGuest(graceMs: number): void {
    if (this.#phase.kind !== "running" || !this.#phase.sandbox.shutDown(graceMs)) return;
    this.#start.hurry(graceMs);
    if (this.state !== "draining") void this.#saveInBackground({ status: "draining" });
  }

  #elapsedMs(): number {
    return Math.round(performance.now() - this.#beganAtMs);
  }

  readonly #notice = (message: string): void => {
    this.#tellOwner({ type: "Notice", message });
  };

  #tellOwner(message: Message): void {
    this.#clients.owner.send(message);
  }

  #save(change: Partial<StoredState>): Promise<void> {
    return this.#stateFile.change(change);
  }

  /** A state that cannot be written must not end what it describes. */
  #saveInBackground(change: Partial<StoredState>): Promise<void> {
    return this.#save(change).catch((error: unknown) => {
      this.#logs.runtime.write("error", String(error));
    });
  }
}
