import type { Duplex } from "node:stream";
import {
  CustomError,
  ProtocolError,
  RuntimeError,
  SandboxNotRunningError,
  UnsupportedOperationError,
} from "../errors/index.ts";
import type { MachineExit } from "../machine/types.ts";
import { encodeFailure } from "../protocol/failure.ts";
import type {
  EndedMessage,
  ExecMessage,
  Message,
  MetricsMessage,
  SandboxState,
} from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import { identifyProcess } from "../host/process/process-identity.ts";
import { socketPath, type Home } from "../store/home.ts";
import { holdMounts, type HeldMounts } from "../store/mounts/hold-mounts.ts";
import type { SandboxState as StoredState, TerminationReason } from "../store/state.ts";
import type { BackgroundJob, HurriedMounts } from "../start/common/context.ts";
import type { Inherited } from "../start/prelaunch/prelaunch-qemu.ts";
import { startGuest, type StartOutcome } from "../start/start.ts";
import { requireNoProviders } from "../config/mounts/provider-mounts.ts";
import { BackgroundJobs } from "./background-jobs.ts";
import { clearBootError, recordBootError } from "./boot-error-file.ts";
import type { Client, ClientServices } from "./clients/client.ts";
import { Clients } from "./clients/clients.ts";
import { finishSandbox } from "./finish-sandbox.ts";
import { markPatched, setAside, sweepLeftovers, type FoundSandbox } from "../store/sandboxes.ts";
import { closeLogs, openLogs, watchLogs, type Logs } from "./logs/logs.ts";
import { endingOf, type Ending } from "./logs/exit-reason.ts";
import { logExit } from "./logs/machine-log.ts";
import { RunningSandbox } from "./running-sandbox.ts";
import { OfferedNetwork } from "./offered-network.ts";
import type { SandboxNetwork } from "./services/network/sandbox-network.ts";
import type { Session, ClientStream } from "./services/session.ts";
import { StateFile } from "./state-file.ts";

export interface SupervisorOptions {
  readonly home: Home;
  readonly sandbox: FoundSandbox;
  /** The connection of the process that starts the sandbox. */
  readonly owner: Duplex;
  /** Whether the sandbox ends with that connection. */
  readonly attached: boolean;
  /** What this process was told, and the QEMU it has already started. */
  readonly inherited: Inherited;
  /** Gives up the sandbox's lock: from then on it may be started or removed by others. */
  readonly releaseLock: () => void;
}

/** What a stop that nobody gave a grace for allows, ms. */
const defaultGraceMs = 10_000;

/** How long a guest that shuts down waits for an answer of the program that provides its files, ms. */
const longestLastRequestMs = 2_000;

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
  readonly #beganAtMs = performance.now();
  readonly #stateFile: StateFile;
  readonly #starting = new AbortController();
  /** Where the sandbox is put when it is discarded. */
  #discarding: Promise<string> | null = null;
  #phase: Phase = { kind: "starting" };
  #attached: boolean;
  /** Why the sandbox is about to end, once that is decided. The first reason counts. */
  #ending: Ending | null = null;
  /** What the owner's program provides. */
  #provided: HurriedMounts | null = null;
  /** Its ports are closed with its network, or at the end. */
  #offered: OfferedNetwork | null = null;
  /** Until its end. */
  #heldMounts: HeldMounts | null = null;
  /** How the sandbox has ended, once everything about it is on disk. */
  #ended: EndedMessage | null = null;
  readonly #endWatchers = new Set<(ended: EndedMessage) => void>();

  private constructor(options: SupervisorOptions, logs: Logs) {
    this.#options = options;
    this.#logs = logs;
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
    return this.#running().exec(request, client);
  }

  files(request: Message, client: Stream): StreamHandler {
    return this.#running().files(request, client);
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
    this.#end("Signal", "it was killed", false);
    this.#starting.abort(new CustomError(`sandbox ${this.name} was killed while it started`));
    if (this.#phase.kind === "running") this.#phase.sandbox.kill();
  }

  /** Resolves when whoever looks sees that the sandbox drains. */
  async drain(): Promise<void> {
    if (this.state !== "running") return;
    const { commands } = this.#running();
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
    this.#end("Signal", "it was discarded", false);
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

  onEnded(callback: (ended: EndedMessage) => void): () => void {
    this.#endWatchers.add(callback);
    queueMicrotask(() => {
      this.#tellEnd();
    });
    return () => this.#endWatchers.delete(callback);
  }

  disconnected(client: Client): void {
    this.#clients.remove(client);
    if (client !== this.#clients.owner || !this.#attached) return;
    this.#logs.runtime.write("info", "the owner is gone");
    this.#stop(defaultGraceMs, "ShutdownRequested", "the process that owned it ended");
  }

  async #run(): Promise<void> {
    let sandbox: RunningSandbox;
    const { signal } = this.#starting;
    try {
      const saved = this.#saveStarting(await identifyProcess(process.pid));
      // The machine need not wait for the disk.
      saved.catch((error: unknown) => {
        this.#starting.abort(error);
      });
      sandbox = await this.#start(signal);
      await saved;
    } catch (error) {
      await this.#startFailed(error);
      await this.#leave();
      return;
    }
    await this.#finish(sandbox);
    await this.#leave();
  }

  /** True in memory at once: what is saved later comes after it. */
  #saveStarting(supervisor: StoredState["supervisor"]): Promise<void> {
    return this.#save({
      status: "starting",
      supervisor,
      socket: socketPath(this.#options.home, this.id),
      accelerator: null,
      start: null,
      ports: [],
      startedAt: new Date().toISOString(),
      endedAt: null,
      reason: null,
      detail: "",
      exitCode: null,
      signal: null,
    });
  }

  async #start(signal: AbortSignal): Promise<RunningSandbox> {
    // Somebody else may have got hold of them since it was asked for.
    this.#heldMounts = await holdMounts(this.#options.home, this.#options.sandbox.record.config);
    const offered = await OfferedNetwork.offer({ ...this.#options.sandbox, runtimeLog: this.#logs.runtime });
    this.#offered = offered;
    const outcome = await this.#startGuest(signal);
    const network = await offered?.open(outcome.started, (ports) => this.#save({ ports: [...ports] }));
    const sandbox = new RunningSandbox({
      sandbox: this.#options.sandbox,
      started: outcome.started,
      logs: this.#logs,
      network: network ?? null,
      expired: (reason) => {
        this.#stop(defaultGraceMs, reason, reason === "IdleTimeout" ? "nobody used it" : "its time was over");
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
    const { paths, record } = this.#options.sandbox;
    // From here on it is a sandbox that can be started again.
    if (record.config.patches.length > 0) await markPatched(paths);
    await Promise.all([this.#clients.listen(), clearBootError(this.#options.sandbox.paths.bootError)]);
    const { accelerator } = sandbox.machine;
    const { route, reason } = outcome;
    const elapsedMs = this.#elapsedMs();
    const bound = [...(offered?.ports ?? [])];
    await this.#save({ status: "running", accelerator, start: { route, reason, elapsedMs }, ports: bound });
    this.#tellOwner({ type: "Started", accelerator, route, reason, elapsedMs });
    this.#jobs.start();
    // The owner may have left, or somebody asked for the end, while the guest booted.
    if (this.#ending !== null) this.#shutDownGuest(defaultGraceMs);
    return sandbox;
  }

  async #startGuest(signal: AbortSignal): Promise<StartOutcome> {
    const { home, sandbox, inherited } = this.#options;
    const request = {
      ...{ home, record: sandbox.record, paths: sandbox.paths, signal },
      runtimeLog: this.#logs.runtime,
      kernelLog: this.#logs.kernel,
      progress: (stage: string) => {
        const elapsedMs = this.#elapsedMs();
        this.#logs.runtime.write("debug", `${stage} after ${elapsedMs} ms`);
        this.#tellOwner({ type: "StartProgress", stage, elapsedMs });
      },
      notice: this.#notice,
      background: (job: BackgroundJob) => {
        this.#jobs.add(job);
      },
      programFiles: {
        open: (path: string, handler: StreamHandler) => this.#clients.owner.provideFiles(path, handler),
        served: (mounts: HurriedMounts) => {
          this.#provided = mounts;
        },
      },
      agentLost: (error: Error | null) => {
        void this.#agentLost(error);
      },
    };
    return await startGuest(request, inherited);
  }

  async #startFailed(error: unknown): Promise<void> {
    const { runtime } = this.#logs;
    const { inherited, sandbox } = this.#options;
    const stopRequested = this.#ending !== null;
    const failure = encodeFailure(error);
    runtime.write(stopRequested ? "info" : "error", `start failed: ${failure.message}`);
    if (!stopRequested) await recordBootError(sandbox.paths.bootError, error).catch(() => undefined);
    if (inherited.qemu.kind === "running") inherited.qemu.spawned.child.kill("SIGKILL");
    if (this.#phase.kind === "running") {
      this.#phase.sandbox.kill();
      await this.#phase.sandbox.machine.exited;
    }
    await this.#finishSandbox(null, {
      status: "stopped",
      reason: this.#ending?.reason ?? "Failed",
      detail: this.#ending?.detail ?? failure.message,
    });
    this.#tellOwner(failure);
  }

  async #finish(sandbox: RunningSandbox): Promise<void> {
    const exit = await sandbox.ended();
    const ending = this.#ending ?? endingOf(exit);
    logExit(this.#logs.runtime, ending, exit);
    await this.#finishSandbox(exit, {
      status: ending.crashed ? "crashed" : "stopped",
      reason: ending.reason,
      detail: ending.detail,
      exitCode: exit.code,
      signal: exit.signal,
    });
  }

  async #finishSandbox(exit: MachineExit | null, change: Partial<StoredState>): Promise<void> {
    this.#attached = false;
    await this.#heldMounts?.release();
    await this.#offered?.[Symbol.asyncDispose]();
    const aside = this.#discarding === null ? null : await this.#discarding.catch(() => null);
    const remains = { ...this.#options, stateFile: this.#stateFile, clients: this.#clients, aside };
    const finished = finishSandbox(remains, this.#logs.runtime, exit, change);
    this.#phase = { kind: "over" };
    this.#ended = await finished;
    this.#tellEnd();
  }

  #tellEnd(): void {
    if (this.#ended === null) return;
    const watchers = [...this.#endWatchers];
    this.#endWatchers.clear();
    for (const callback of watchers) callback(this.#ended);
  }

  async #leave(): Promise<void> {
    const idle = this.#jobs.end();
    // Let the answers to those who wait for the end go out first.
    await new Promise(setImmediate);
    await this.#clients.farewell();
    // Whoever makes only sandboxes that remove themselves has nobody else who clears away what a killed supervisor has left.
    if (this.#options.sandbox.record.config.ephemeral) await sweepLeftovers(this.#options.home);
    await idle;
    await closeLogs(this.#logs);
  }

  /** The one place where what needs a running sandbox is refused. @throws SandboxNotRunningError */
  #running(): RunningSandbox {
    if (this.#phase.kind === "running") return this.#phase.sandbox;
    throw new SandboxNotRunningError(`sandbox ${this.name} is ${this.state}`, {
      hint: `Start it ("msb start ${this.name}").`,
    });
  }

  #stopWhenDrained(): void {
    if (this.#running().commands === 0)
      this.#stop(defaultGraceMs, "DrainRequested", "its last command ended");
  }

  async #agentLost(error: Error | null): Promise<void> {
    const running = this.#phase.kind === "running" ? this.#phase.sandbox : null;
    if (!(error instanceof ProtocolError)) {
      // An orderly power-off closes the connection just before QEMU reports it, and so does a QEMU that crashes.
      if (running !== null && (error === null || (await running.endsBySelf()))) return;
      // The end that was asked for goes on, and has its own limit. A guest that breaks the protocol does not wait for it.
      if (this.#ending !== null) return;
    }
    const detail = error === null ? "the guest closed its connection" : error.message;
    this.#logs.runtime.write("error", `lost the guest: ${detail}`);
    this.#end("AgentUnresponsive", detail, true);
    if (this.#phase.kind === "running") this.#phase.sandbox.kill();
  }

  #stop(graceMs: number, reason: TerminationReason, detail: string): void {
    this.#end(reason, detail, false);
    this.#starting.abort(new CustomError(`sandbox ${this.name} was stopped while it started`));
    this.#shutDownGuest(graceMs);
  }

  #shutDownGuest(graceMs: number): void {
    if (this.#phase.kind !== "running" || !this.#phase.sandbox.shutDown(graceMs)) return;
    // What processes wait for that are to end, and what is written when all is unmounted.
    this.#provided?.hurry(Math.min(longestLastRequestMs, graceMs / 4));
    if (this.state === "running") void this.#saveInBackground({ status: "draining" });
  }

  #end(reason: TerminationReason, detail: string, crashed: boolean): void {
    this.#ending ??= { reason, detail, crashed };
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
