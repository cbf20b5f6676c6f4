import type { Duplex } from "node:stream";
import { ProtocolError } from "../errors/index.ts";
import type { CopyIdentity } from "../agent-link/agent-link.ts";
import type { MachineExit } from "../machine/types.ts";
import { encodeFailure } from "../protocol/failure.ts";
import { signalNumber } from "../protocol/signals.ts";
import type { Message } from "../protocol/generated/messages.ts";
import { identifyProcess } from "../host/process/process-identity.ts";
import { socketPath, type Home } from "../store/home.ts";
import type { SandboxState as StoredState } from "../store/state.ts";
import type { StartOutcome } from "../start/start.ts";
import { readSuspension, type SuspensionRecord } from "../store/suspension.ts";
import { decideRollback } from "../store/checkpoints/settle-checkpoints.ts";
import { HostShutdown } from "./suspending.ts";
import { BackgroundJobs } from "./background-jobs.ts";
import { clearBootError, recordBootError } from "./boot-error-file.ts";
import type { Client } from "./clients/client.ts";
import { Clients } from "./clients/clients.ts";
import { finishSandbox } from "./finish-sandbox.ts";
import { markPatched, sweepLeftovers, type FoundSandbox } from "../store/sandboxes.ts";
import { SandboxCalls } from "./life/sandbox-calls.ts";
import { defaultGraceMs, SandboxLife } from "./life/sandbox-life.ts";
import { closeLogs, openLogs, type Logs } from "./logs/logs.ts";
import { endingOf } from "./logs/exit-reason.ts";
import { logExit } from "./logs/machine-log.ts";
import { RunningSandbox } from "./running-sandbox.ts";
import { SandboxStart, type GuestSource, type StartedGuest } from "./sandbox-start.ts";
import type { NetworkSettings, SandboxNetwork } from "./services/network/sandbox-network.ts";
import { startingState } from "./state-file.ts";

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

/** How long those who listen to events may take for the last of them, ms. */
const lastEventsMs = 2_000;

/** The process that owns one sandbox from its start to its end: its machines, one after the other, its lock, its clients, its signals. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #logs: Logs;
  readonly #clients: Clients;
  readonly #jobs = new BackgroundJobs((error) => {
    this.#logs.runtime.write("debug", `left undone: ${String(error)}`);
  });
  readonly #life: SandboxLife;
  readonly #calls: SandboxCalls;
  readonly #start: SandboxStart;
  readonly #hostShutdown: HostShutdown;
  #beganAtMs = performance.now();

  private constructor(options: SupervisorOptions, logs: Logs) {
    const { home, sandbox, owner, attached, guest } = options;
    this.#options = options;
    this.#logs = logs;
    this.#life = new SandboxLife(sandbox, attached, logs.runtime, (graceMs) => {
      this.#start.hurry(graceMs);
    });
    this.#calls = new SandboxCalls({
      ...{ home, life: this.#life, logs },
      admit: () => {
        this.#clients.admit();
      },
      disconnected: (client) => {
        this.#disconnected(client);
      },
    });
    this.#hostShutdown = new HostShutdown(sandbox, {
      isEnding: () => this.#life.end.ending !== null && !this.#calls.suspending.isUnderWay,
      suspend: () => {
        // How long the host waits is not known.
        this.#life.running().releaseDisk();
        return this.#calls.suspend();
      },
      stop: (detail) => {
        this.#life.stop(defaultGraceMs, "Signal", detail);
      },
      log: logs.runtime,
    });
    this.#clients = new Clients(owner, socketPath(home, sandbox.record.id), this.#calls);
    this.#start = new SandboxStart({
      ...{ home, sandbox, guest },
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
        this.#life.stop(defaultGraceMs, "SecretViolation", reason);
      },
      portsChanged: (ports) => this.#life.save({ ports: [...ports] }),
    });
  }

  /** Runs the sandbox; resolves when it has ended and everything is on disk. */
  static async run(options: SupervisorOptions): Promise<void> {
    const { paths, record } = options.sandbox;
    const supervisor = new Supervisor(options, await openLogs(paths, record.config));
    const life = supervisor.#life;
    process.on("SIGTERM", () => {
      supervisor.#hostShutdown.begin(life.guest !== null, life.facts !== null);
    });
    // From whoever wants it stopped, whatever is to become of it with the host.
    process.on("SIGINT", () => {
      life.stop(defaultGraceMs, "Signal", "its supervisor got SIGINT");
    });
    await supervisor.#run();
  }

  #disconnected(client: Client): void {
    this.#clients.remove(client);
    // A program that owns it ends with the host too, which is no wish for another end.
    if (client !== this.#clients.owner || !this.#life.isAttached || this.#hostShutdown.isUnderWay) return;
    this.#logs.runtime.write("info", "the owner is gone");
    this.#life.stop(defaultGraceMs, "ShutdownRequested", "the process that owned it ended");
  }

  async #run(): Promise<void> {
    let sandbox: RunningSandbox;
    const { starting } = this.#life;
    try {
      const socket = socketPath(this.#options.home, this.#calls.id);
      // True in memory at once: what is saved later comes after it.
      const saved = this.#life.save(startingState(await identifyProcess(process.pid), socket));
      // The machine need not wait for the disk.
      saved.catch((error: unknown) => {
        this.#life.giveUpStart(error);
      });
      sandbox = await this.#bringUp(await this.#start.run(starting), true);
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
      const { goingBack } = this.#life;
      this.#life.isOver = goingBack === null;
      if (goingBack === null) return exit;
      try {
        sandbox = await this.#goBack(goingBack.network);
        goingBack.resolve();
      } catch (error) {
        this.#life.isOver = true;
        await this.#startFailed(error);
        goingBack.reject(error);
        return null;
      }
    }
  }

  /** Its machine has ended, and what it goes back to is gathered. */
  async #goBack(network: NetworkSettings | null): Promise<RunningSandbox> {
    const { starting } = this.#life;
    starting.throwIfAborted();
    this.#beganAtMs = performance.now();
    await decideRollback(this.#options.sandbox.paths.directory);
    this.#life.wentBack();
    return await this.#bringUp(await this.#start.runAgain(network, starting), false);
  }

  async #bringUp({ outcome, network }: StartedGuest, isFirst: boolean): Promise<RunningSandbox> {
    const { paths, record } = this.#options.sandbox;
    const { suspended, isToldWhose, route, reason } = outcome;
    this.#life.facts = outcome.facts;
    const sandbox = this.#runningSandbox(outcome, network);
    this.#life.begins(sandbox);
    if (isToldWhose) sandbox.goOn();
    await Promise.all([
      suspended === null || isToldWhose ? null : sandbox.awake(this.#copyOf(suspended)),
      // From here on it is a sandbox that can be started again.
      record.config.patches.length > 0 ? markPatched(paths) : null,
      clearBootError(paths.bootError),
    ]);
    if (isFirst) await this.#clients.listen();
    const { accelerator } = sandbox.machine;
    const elapsedMs = this.#elapsedMs();
    const ports = [...this.#start.ports];
    await this.#life.save({ status: "running", accelerator, start: { route, reason, elapsedMs }, ports });
    if (isFirst) this.#tellOwner({ type: "Started", accelerator, route, reason, elapsedMs });
    this.#jobs.start();
    // The owner may have left, or somebody asked for the end, while the guest booted.
    if (this.#life.end.ending !== null) this.#life.shutDown(defaultGraceMs);
    else this.#hostShutdown.running();
    return sandbox;
  }

  #runningSandbox({ suspended, started }: StartOutcome, network: SandboxNetwork | null): RunningSandbox {
    const life = this.#life;
    return new RunningSandbox({
      ...{ suspended, sandbox: this.#options.sandbox, started, logs: this.#logs, network },
      expired: (reason) => {
        life.stop(defaultGraceMs, reason, reason === "IdleTimeout" ? "nobody used it" : "its time was over");
      },
      pauseChanged: async (isPaused) => {
        // One that is on its way to its end, or back, stays on it.
        if (life.guest !== null && life.state !== "draining")
          await life.save({ status: isPaused ? "paused" : "running" });
      },
      overdue: () => {
        life.kill();
      },
      notice: this.#notice,
      commandEnded: () => {
        const { status, reason } = life.stateFile.state;
        if (status === "draining" && reason === "DrainRequested") life.stopWhenDrained();
      },
    });
  }

  #copyOf({ source, notify }: SuspensionRecord): CopyIdentity | null {
    const { name, config } = this.#options.sandbox.record;
    const signal = notify === null ? 0 : (signalNumber(notify) ?? 0);
    return source === null ? null : { hostname: config.hostname, name, source, signal };
  }

  async #startFailed(error: unknown): Promise<void> {
    const { runtime } = this.#logs;
    const { guest, sandbox } = this.#options;
    const { ending } = this.#life.end;
    const failure = encodeFailure(error);
    runtime.write(ending === null ? "error" : "info", `start failed: ${failure.message}`);
    if (ending === null) await recordBootError(sandbox.paths.bootError, error).catch(() => undefined);
    guest.abandon();
    const running = this.#life.guest;
    running?.kill();
    await running?.machine.exited;
    const isSuspended = (await readSuspension(sandbox.paths.directory).catch(() => null)) !== null;
    await this.#finishSandbox(null, {
      status: isSuspended ? "suspended" : "stopped",
      reason: this.#life.end.ending?.reason ?? "Failed",
      detail: this.#life.end.ending?.detail ?? failure.message,
    });
    this.#tellOwner(failure);
  }

  async #finish(exit: MachineExit): Promise<void> {
    // What ended it may have kept it from being suspended: then that is why it has ended.
    await this.#calls.suspending.settled();
    const ending = this.#life.end.ending ?? endingOf(exit);
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
    const { stateFile, end } = this.#life;
    this.#life.isAttached = false;
    await this.#start.release();
    // From its end on, another sandbox may have its place.
    await this.#logs.jobs.close();
    const aside = (await this.#calls.discarding?.catch(() => null)) ?? null;
    const remains = { ...this.#options, stateFile, clients: this.#clients, aside };
    const finished = finishSandbox(remains, this.#logs.runtime, exit, change);
    this.#life.ended();
    const ended = await finished;
    this.#life.events.end(ended);
    end.reached(ended);
  }

  async #leave(): Promise<void> {
    const idle = this.#jobs.end();
    // Let the answers to those who wait for the end go out first.
    await new Promise(setImmediate);
    await this.#life.events.taken(lastEventsMs);
    await this.#clients.farewell();
    // Whoever makes only sandboxes that remove themselves has nobody else who clears away what a killed supervisor has left.
    if (this.#options.sandbox.record.config.ephemeral) await sweepLeftovers(this.#options.home);
    await idle;
    await closeLogs(this.#logs);
  }

  async #agentLost(error: Error | null): Promise<void> {
    const { end, goingBack, guest } = this.#life;
    // The guest that the sandbox goes back from ends without it.
    if (goingBack !== null) return;
    if (!(error instanceof ProtocolError)) {
      // An orderly power-off closes the connection just before QEMU reports it, and so does a QEMU that crashes.
      if (guest !== null && (error === null || (await guest.endsBySelf()))) return;
      // The end that was asked for goes on, and has its own limit. A guest that breaks the protocol does not wait for it.
      if (end.ending !== null) return;
    }
    const detail = error === null ? "the guest closed its connection" : error.message;
    this.#logs.runtime.write("error", `lost the guest: ${detail}`);
    end.decide("AgentUnresponsive", detail, true);
    this.#life.guest?.kill();
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
}
