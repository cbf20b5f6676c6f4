import {
  AgentUnresponsiveError,
  ProtocolError,
  RuntimeError,
  SandboxNotRunningError,
} from "../errors/index.ts";
import { numberFromEnvironment } from "../host/process/environment-settings.ts";
import { orTimeout } from "../host/or-timeout.ts";
import type { Machine } from "../machine/machine.ts";
import type { MachineExit } from "../machine/types.ts";
import type { ExecMessage, Message, MetricsMessage } from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import { startedMarker, stoppedMarker } from "../store/log-format.ts";
import type { FoundSandbox } from "../store/sandboxes.ts";
import type { TerminationReason } from "../store/state.ts";
import type { AgentLink } from "../agent-link/agent-link.ts";
import type { StartedMachine } from "../start/common/context.ts";
import type { Logs } from "./logs/logs.ts";
import { logEvents } from "./logs/machine-log.ts";
import { AgentWatch } from "./services/agent-watch.ts";
import { DiskShortage } from "./services/disk-shortage.ts";
import { FileRelay } from "./services/file-relay.ts";
import { GuestShutdown } from "./services/guest-shutdown.ts";
import { TimeLimits } from "./time-limits.ts";
import { MetricsSampler } from "./services/metrics-sampler.ts";
import type { SandboxNetwork } from "./services/network/sandbox-network.ts";
import { Session, type ClientStream } from "./services/session.ts";

export interface RunningSandboxOptions {
  readonly sandbox: FoundSandbox;
  readonly started: StartedMachine;
  readonly logs: Logs;
  /** null: it has none. */
  readonly network: SandboxNetwork | null;
  /** It has run long enough, or nobody has used it for a while. */
  readonly expired: (reason: Extract<TerminationReason, "MaxDurationExceeded" | "IdleTimeout">) => void;
  /** Its guest did not shut down in the time that it was given. */
  readonly overdue: () => void;
  /** Something that whoever started it should know. */
  readonly notice: (message: string) => void;
  /** A command has ended. */
  readonly commandEnded: () => void;
}

/** Each has a thread in the guest while it lasts. */
const mostFileStreams = 256;
/** How long a machine whose connection broke may take to end, and what it left there to be read, ms. */
const lastWordsMs = 1_000;

/** A sandbox whose guest runs commands, from the moment it does until its machine has ended. */
export class RunningSandbox {
  readonly machine: Machine;
  readonly network: SandboxNetwork | null;
  readonly #name: string;
  readonly #started: StartedMachine;
  readonly #logs: Logs;
  readonly #commandEnded: () => void;
  readonly #sessions = new Set<Session>();
  readonly #limits: TimeLimits;
  readonly #metrics: MetricsSampler;
  readonly #shutdown: GuestShutdown;
  readonly #watch: AgentWatch;
  readonly #shortage: DiskShortage;
  #nextSessionId = 1;
  #commands = 0;
  #fileStreams = 0;

  constructor({
    sandbox,
    started,
    logs,
    network,
    expired,
    overdue,
    notice,
    commandEnded,
  }: RunningSandboxOptions) {
    const { machine, agent, startedAtMs } = started;
    const { name, config } = sandbox.record;
    this.machine = machine;
    this.network = network;
    this.#name = name;
    this.#started = started;
    this.#logs = logs;
    this.#commandEnded = commandEnded;
    this.#metrics = new MetricsSampler({
      machine,
      agent,
      diskFull: () => this.#shortage.lasts,
      network: () => network?.counters ?? null,
      memoryMib: config.memoryMib,
      hasUpper: config.image.kind === "oci",
      upperPath: sandbox.paths.upper,
      intervalMs: config.metricsSampleIntervalMs,
      startedAtMs,
    });
    this.#limits = new TimeLimits({
      maxDurationSecs: config.maxDurationSecs,
      idleTimeoutSecs: config.idleTimeoutSecs,
      expired,
    });
    this.#shutdown = new GuestShutdown(logs.runtime, config.stopSignal, overdue);
    this.#shortage = new DiskShortage({ machine, log: logs.runtime, notice });
    this.#watch = new AgentWatch({
      agent,
      timeoutMs: numberFromEnvironment("MSB_AGENT_TIMEOUT_MS"),
      shortage: this.#shortage,
    });
    logEvents(machine, logs.runtime);
    logs.exec.write("system", Buffer.from(startedMarker), null);
  }

  /** How many commands run. */
  get commands(): number {
    return this.#commands;
  }

  exec(request: ExecMessage, client: ClientStream): Session {
    const session = new Session({
      id: this.#nextSessionId++,
      request,
      agent: this.#agent,
      log: this.#logs.exec,
      client,
      activity: () => this.#limits.activity(),
      ended: () => {
        this.#commands--;
        this.#limits.sessionEnded();
        this.#commandEnded();
      },
      over: (over) => {
        this.#sessions.delete(over);
      },
    });
    this.#sessions.add(session);
    this.#commands++;
    this.#limits.sessionStarted();
    this.#logs.runtime.write("debug", `session ${session.id}: ${JSON.stringify(request.argv)}`);
    return session;
  }

  /** @throws RuntimeError when too much is asked for at a time */
  files(request: Message, client: Stream): StreamHandler {
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

  async ping(): Promise<void> {
    await this.#unlessEnding(this.#agent.ping());
  }

  /** @returns how many activities there have been */
  touch(): number {
    return this.#limits.activity();
  }

  async metrics(): Promise<MetricsMessage> {
    return await this.#unlessEnding(this.#metrics.sample());
  }

  /**
   * Asks the guest to shut down; it is killed when it does not in time.
   *
   * @returns false when it has been asked before, and has less time left
   */
  shutDown(graceMs: number): boolean {
    // That has a limit of its own, and a guest that writes back all its memory may be silent for long.
    this.#watch.stop();
    return this.#shutdown.begin(this.#started, graceMs);
  }

  kill(): void {
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
    this.#limits.stop();
    this.#watch.stop();
    this.#shortage.stop();
    this.#shutdown.over();
    await this.#endNetwork();
    // The guest's last words may still be on their way: a command's real end counts more than the sandbox's.
    await this.#agent.closed(lastWordsMs);
    for (const session of [...this.#sessions])
      session.lost(new RuntimeError(`sandbox ${this.#name} has ended`));
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
