import type { Duplex } from "node:stream";
import { CustomError, ProtocolError, RuntimeError, SandboxNotRunningError } from "../errors/index.ts";
import type { MachineExit } from "../machine/types.ts";
import { encodeFailure } from "../protocol/failure.ts";
import type {
  EndedMessage,
  ExecMessage,
  Message,
  MetricsMessage,
  SandboxState,
} from "../protocol/generated/messages.ts";
import { identifyProcess } from "../host/process-identity.ts";
import { socketPath, type Home } from "../store/home.ts";
import { startedMarker, stoppedMarker } from "../store/log-format.ts";
import type { FoundSandbox } from "../store/sandboxes.ts";
import type { SandboxState as StoredState, TerminationReason } from "../store/state.ts";
import { Afterwards } from "./background-jobs.ts";
import { bootGuest } from "../start/boot.ts";
import type { StartedMachine } from "../start/start-context.ts";
import { clearBootError, recordBootError } from "./boot-error-file.ts";
import type { BegunQemu } from "../start/prelaunch/begun-qemu.ts";
import type { Client, ClientServices } from "./clients/client.ts";
import { Clients } from "./clients/clients.ts";
import { conclude } from "./conclusion.ts";
import { Lifetime } from "./services/lifetime.ts";
import { GuestShutdown } from "./services/guest-shutdown.ts";
import { closeLogs, openLogs, type Logs } from "./logs/logs.ts";
import { logEvents, logExit } from "./logs/machine-log.ts";
import { MetricsSampler } from "./services/metrics-sampler.ts";
import { judgeExit, type Ending } from "./logs/judge-exit.ts";
import { StateFile } from "./state-file.ts";
import { Session, type ClientStream } from "./services/session.ts";

export interface SupervisorOptions {
  readonly home: Home;
  readonly sandbox: FoundSandbox;
  /** The connection of the process that starts the sandbox. */
  readonly owner: Duplex;
  /** Whether the sandbox ends with that connection. */
  readonly attached: boolean;
  /** A QEMU that was started for it already. */
  readonly begun: BegunQemu | null;
  /** Gives up the sandbox's lock: from then on it may be started or removed by others. */
  readonly releaseLock: () => void;
}

/** What a stop that nobody gave a grace for allows, ms. */
const defaultGraceMs = 10_000;
/** How long the bytes that an ended guest left in its connection may take to be read, ms. */
const lastWordsMs = 1_000;

/** Owns one sandbox from its start to its end. */
export class Supervisor implements ClientServices {
  readonly id: string;
  readonly name: string;
  readonly #options: SupervisorOptions;
  readonly #logs: Logs;
  readonly #clients: Clients;
  readonly #sessions = new Set<Session>();
  readonly #starting = new AbortController();
  readonly #afterwards = new Afterwards((error) => {
    this.#logs.runtime.write("debug", `left undone: ${String(error)}`);
  });
  readonly #bootedAt = performance.now();
  readonly #shutdown: GuestShutdown;
  readonly #stateFile: StateFile;
  #guest: StartedMachine | null = null;
  #metrics: MetricsSampler | null = null;
  #lifetime: Lifetime | null = null;
  #attached: boolean;
  #nextSessionId = 1;
  /** Why the sandbox is about to end, once that is decided. The first reason counts. */
  #ending: Ending | null = null;
  readonly #ended = Promise.withResolvers<EndedMessage>();

  private constructor(options: SupervisorOptions, logs: Logs) {
    this.#options = options;
    this.#logs = logs;
    this.#shutdown = new GuestShutdown(logs.runtime, options.sandbox.record.config.stopSignal, () => {
      this.kill();
    });
    this.#stateFile = new StateFile(options.sandbox.paths.state, options.sandbox.state);
    this.#attached = options.attached;
    this.id = options.sandbox.record.id;
    this.name = options.sandbox.record.name;
    this.#clients = new Clients(options.owner, socketPath(options.home, this.id), this);
  }

  /** Runs the sandbox; resolves when it has ended and everything is on disk. */
  static async run(options: SupervisorOptions): Promise<void> {
    const { paths, record } = options.sandbox;
    const supervisor = new Supervisor(options, await openLogs(paths, record.config));
    process.on("SIGTERM", () => {
      supervisor.#stop(defaultGraceMs, "Signal", "its supervisor got SIGTERM");
    });
    await supervisor.#run();
  }

  get state(): SandboxState {
    return this.#stateFile.state.status === "created" ? "starting" : this.#stateFile.state.status;
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
    const { agent } = this.#running();
    const session = new Session({
      id: this.#nextSessionId++,
      request,
      agent,
      log: this.#logs.exec,
      client,
      activity: () => this.#lifetime?.activity(),
      ended: (ended) => {
        this.#sessionEnded(ended);
      },
    });
    this.#sessions.add(session);
    this.#lifetime?.sessionStarted();
    this.#logs.runtime.write("debug", `session ${session.id}: ${JSON.stringify(request.argv)}`);
    return session;
  }

  async ping(): Promise<void> {
    const { agent } = this.#running();
    await this.#unlessEnding(agent.ping());
  }

  touch(): number {
    this.#running();
    return this.#lifetime?.activity() ?? 0;
  }

  detach(): void {
    this.#attached = false;
  }

  async metrics(): Promise<MetricsMessage> {
    this.#running();
    if (this.#metrics === null) throw new RuntimeError("the sandbox is not ready");
    return await this.#unlessEnding(this.#metrics.sample());
  }

  stop(graceMs: number): void {
    this.#logs.runtime.write("info", `stop requested, ${graceMs} ms of grace`);
    this.#stop(graceMs, "ShutdownRequested", "a client asked for it");
  }

  kill(): void {
    this.#end("Signal", "it was killed", false);
    this.#starting.abort(new CustomError(`sandbox ${this.name} was killed while it started`));
    this.#guest?.machine.kill();
  }

  /** Resolves when whoever looks sees that the sandbox drains. */
  async drain(): Promise<void> {
    if (this.state !== "running") return;
    this.#logs.runtime.write("info", `drain requested, ${this.#sessions.size} commands running`);
    const saved = this.#saveInBackground({ status: "draining", reason: "DrainRequested" });
    this.#stopWhenDrained();
    await saved;
  }

  watchState(changed: () => void): () => void {
    return this.#stateFile.watch(changed);
  }

  ended(): Promise<EndedMessage> {
    return this.#ended.promise;
  }

  disconnected(client: Client): void {
    this.#clients.remove(client);
    if (client !== this.#clients.owner || !this.#attached) return;
    this.#logs.runtime.write("info", "the owner is gone");
    this.#stop(defaultGraceMs, "ShutdownRequested", "the process that owned it ended");
  }

  async #run(): Promise<void> {
    try {
      const saved = this.#save({
        status: "starting",
        supervisor: await identifyProcess(process.pid),
        socket: socketPath(this.#options.home, this.id),
        accelerator: null,
        startedAt: new Date().toISOString(),
        endedAt: null,
        reason: null,
        detail: "",
        exitCode: null,
        signal: null,
      });
      // The machine need not wait for the disk.
      saved.catch((error: unknown) => {
        this.#starting.abort(error);
      });
      await this.#start();
      await saved;
    } catch (error) {
      await this.#startFailed(error);
      return;
    }
    await this.#finish(this.#running());
    await this.#leave();
  }

  async #start(): Promise<void> {
    const { home, sandbox, begun } = this.#options;
    const { record, paths } = sandbox;
    this.#guest = await bootGuest({
      ...{ home, record, paths, begun },
      runtimeLog: this.#logs.runtime,
      kernelLog: this.#logs.kernel,
      signal: this.#starting.signal,
      progress: (stage) => {
        const elapsedMs = Math.round(performance.now() - this.#bootedAt);
        this.#logs.runtime.write("debug", `${stage} after ${elapsedMs} ms`);
        this.#tellOwner({ type: "StartProgress", stage, elapsedMs });
      },
      notice: (message) => {
        this.#tellOwner({ type: "Notice", message });
      },
      afterwards: (work) => {
        this.#afterwards.add(work);
      },
      agentLost: (error) => {
        this.#agentLost(error);
      },
    });
    const { machine, agent, startedAtMs } = this.#guest;
    logEvents(machine, this.#logs.runtime);
    this.#metrics = new MetricsSampler({
      machine,
      agent,
      memoryMib: record.config.memoryMib,
      hasUpper: record.config.image.kind === "oci",
      upperPath: paths.upper,
      intervalMs: record.config.metricsSampleIntervalMs,
      startedAtMs,
    });
    this.#lifetime = new Lifetime({
      maxDurationSecs: record.config.maxDurationSecs,
      idleTimeoutSecs: record.config.idleTimeoutSecs,
      expired: (reason) => {
        this.#stop(defaultGraceMs, reason, reason === "IdleTimeout" ? "nobody used it" : "its time was over");
      },
    });
    this.#logs.exec.write("system", Buffer.from(startedMarker), null);
    await Promise.all([this.#clients.listen(), clearBootError(paths.bootError)]);
    await this.#save({ status: "running", accelerator: machine.accelerator });
    this.#tellOwner({ type: "Started", accelerator: machine.accelerator });
    this.#afterwards.begin();
    // The owner may have left, or somebody asked for the end, while the guest booted.
    if (this.#ending !== null) this.#shutDownGuest(defaultGraceMs);
  }

  async #startFailed(error: unknown): Promise<void> {
    const { runtime } = this.#logs;
    const stopRequested = this.#ending !== null;
    const failure = encodeFailure(error);
    runtime.write(stopRequested ? "info" : "error", `start failed: ${failure.message}`);
    if (!stopRequested)
      await recordBootError(this.#options.sandbox.paths.bootError, error).catch(() => undefined);
    this.#options.begun?.spawned.child.kill("SIGKILL");
    this.#guest?.machine.kill();
    await this.#guest?.machine.exited;
    await this.#conclude(null, {
      status: "stopped",
      reason: this.#ending?.reason ?? "Failed",
      detail: this.#ending?.detail ?? failure.message,
    });
    this.#tellOwner(failure);
    await this.#leave();
  }

  async #finish({ machine, agent }: StartedMachine): Promise<void> {
    const { runtime, exec } = this.#logs;
    const exit = await machine.exited;
    this.#lifetime?.stop();
    this.#shutdown.over();
    // The guest's last words may still be on their way: a command's real end counts more than the sandbox's.
    await agent.closed(lastWordsMs);
    for (const session of [...this.#sessions])
      session.lost(new RuntimeError(`sandbox ${this.name} has ended`));
    exec.write("system", Buffer.from(stoppedMarker), null);
    const ending = this.#ending ?? judgeExit(exit);
    logExit(runtime, ending, exit);
    await exec.flush();
    if (exec.failure !== null) runtime.write("error", `part of exec.log is missing: ${String(exec.failure)}`);
    await this.#conclude(exit, {
      status: ending.crashed ? "crashed" : "stopped",
      reason: ending.reason,
      detail: ending.detail,
      exitCode: exit.code,
      signal: exit.signal,
    });
  }

  async #conclude(exit: MachineExit | null, change: Partial<StoredState>): Promise<void> {
    this.#attached = false;
    const remains = { ...this.#options, stateFile: this.#stateFile, clients: this.#clients };
    this.#ended.resolve(await conclude(remains, this.#logs.runtime, exit, change));
  }

  async #leave(): Promise<void> {
    const idle = this.#afterwards.end();
    // Let the answers to those who wait for the end go out first.
    await this.#ended.promise;
    await new Promise(setImmediate);
    await this.#clients.farewell();
    await idle;
    await closeLogs(this.#logs);
  }

  #running(): StartedMachine {
    if (
      this.#guest !== null &&
      (this.state === "running" || this.state === "draining" || this.state === "starting")
    ) {
      return this.#guest;
    }
    throw new SandboxNotRunningError(`sandbox ${this.name} is ${this.state}`, {
      hint: `Start it ("msb start ${this.name}").`,
    });
  }

  /** A question that the guest's end left without an answer failed for that reason, not for a lost connection. */
  async #unlessEnding<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      // A machine that ends loses its connections one after the other.
      await this.#guest?.agent.closed(lastWordsMs);
      if (this.#guest?.agent.lost !== true) throw error;
      throw new SandboxNotRunningError(`sandbox ${this.name} is ending`, {
        hint: `Start it again when it has stopped ("msb start ${this.name}").`,
      });
    }
  }

  #sessionEnded(session: Session): void {
    this.#sessions.delete(session);
    this.#lifetime?.sessionEnded();
    const { status, reason } = this.#stateFile.state;
    if (status === "draining" && reason === "DrainRequested") this.#stopWhenDrained();
  }

  #stopWhenDrained(): void {
    if (this.#sessions.size === 0) this.#stop(defaultGraceMs, "DrainRequested", "its last command ended");
  }

  #agentLost(error: Error | null): void {
    // The end that was asked for goes on, and has its own limit. A guest that breaks the protocol does not wait for it.
    if (this.#ending !== null && !(error instanceof ProtocolError)) return;
    const detail = error === null ? "the guest closed its connection" : error.message;
    // An orderly power-off closes the connection just before QEMU reports it.
    const machine = this.#guest?.machine;
    if (error === null && machine !== undefined) return;
    this.#logs.runtime.write("error", `lost the guest: ${detail}`);
    this.#end("AgentUnresponsive", detail, true);
    machine?.kill();
  }

  #stop(graceMs: number, reason: TerminationReason, detail: string): void {
    this.#end(reason, detail, false);
    this.#starting.abort(new CustomError(`sandbox ${this.name} was stopped while it started`));
    this.#shutDownGuest(graceMs);
  }

  #shutDownGuest(graceMs: number): void {
    if (this.#guest === null || !this.#shutdown.begin(this.#guest, graceMs)) return;
    if (this.state === "running") void this.#saveInBackground({ status: "draining" });
  }

  #end(reason: TerminationReason, detail: string, crashed: boolean): void {
    this.#ending ??= { reason, detail, crashed };
  }

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
