import { SandboxStillRunningError } from "../../errors/index.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import type { Home } from "../../store/home.ts";
import type { SandboxStatus } from "../../config/enums.ts";
import type { LogEntry, LogReadOptions } from "../logs/log-entry.ts";
import { readBootError, readLogs, type BootErrorReport } from "../logs/read-logs.ts";
import { LogStream, type LogStreamOptions } from "../logs/log-stream.ts";
import type { SandboxMetrics } from "../metrics/metrics.ts";
import type { StartObserver } from "./progress.ts";
import { destroySandbox, restartSandbox, Sandbox } from "./sandbox.ts";
import { configOf } from "../../config/sandbox/effective-config.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import {
  defaultConnectMs,
  defaultGraceMs,
  isTerminal,
  killWaitMs,
  SandboxControl,
  type SandboxPingResult,
  type SandboxStopResult,
  type SandboxTouchResult,
} from "./sandbox-control.ts";
import { startSandbox, type DestroyOptions, type RestartOptions } from "./start.ts";

/** A sandbox that was looked up, running or not. It never owns the sandbox. */
export class SandboxHandle {
  readonly name: string;
  readonly id: string;
  /** What it was doing when it was looked up. */
  readonly status: SandboxStatus;
  /** Its configuration as JSON. */
  readonly configJson: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly #control: SandboxControl;
  readonly #found: FoundSandbox;

  /** @internal */
  constructor(home: Home, found: FoundSandbox) {
    this.#control = new SandboxControl(home, found.record, null, false);
    this.#found = found;
    this.name = found.record.name;
    this.id = found.record.id;
    this.status = found.status;
    this.configJson = JSON.stringify(configOf(found.record));
    this.createdAt = new Date(found.record.createdAt);
    this.updatedAt = new Date(found.state.updatedAt);
  }

  /** The accelerator of the latest run: `kvm`, `hvf` or `tcg`; null when it never ran. */
  get accelerator(): string | null {
    return this.#found.state.accelerator;
  }

  config(): SandboxConfig {
    return configOf(this.#found.record);
  }

  /** Looks the sandbox up again. @throws SandboxNotFoundError, SandboxReplacedError */
  async refresh(): Promise<SandboxHandle> {
    return handleOf(this.#control.home, await this.#control.find());
  }

  /** Connects to the running sandbox, without owning it. @throws SandboxNotRunningError; RuntimeError after 10 s without an answer */
  async connect(): Promise<Sandbox> {
    return await this.connectWithTimeout(defaultConnectMs);
  }

  /** Like {@link connect}, with another limit, ms. */
  async connectWithTimeout(ms: number): Promise<Sandbox> {
    const control = new SandboxControl(this.#control.home, this.#found.record, null, true);
    await control.connect(ms);
    return new Sandbox(control, false);
  }

  /** Boots it; this process owns it. @throws SandboxStillRunningError, BootStartError */
  async start(observer: StartObserver = {}): Promise<Sandbox> {
    return new Sandbox(await startSandbox(this.#control, true, observer), true);
  }

  /** Boots it; it goes on after this process. @throws as {@link start} */
  async startDetached(observer: StartObserver = {}): Promise<Sandbox> {
    return new Sandbox(await startSandbox(this.#control, false, observer), false);
  }

  /** Connects to it when it runs, waits for it when it starts, starts it when it does not run. */
  async connectOrStart(options: { readonly detached?: boolean } & StartObserver = {}): Promise<Sandbox> {
    for (;;) {
      const { status } = await this.#control.find();
      if (status === "running" || status === "draining") return await this.connect();
      if (isTerminal(status)) {
        try {
          return await (options.detached === true ? this.startDetached(options) : this.start(options));
        } catch (error) {
          // Another program was first; its supervisor has not said so yet.
          if (!(error instanceof SandboxStillRunningError)) throw error;
        }
      }
      await this.#control.waitForChange();
    }
  }

  async stop(): Promise<void> {
    await this.#control.stop(defaultGraceMs);
  }

  async stopWithTimeout(ms: number): Promise<void> {
    await this.#control.stop(ms);
  }

  async requestStop(): Promise<void> {
    await this.#control.requestStop(defaultGraceMs);
  }

  async kill(): Promise<void> {
    await this.#control.kill(killWaitMs);
  }

  async killWithTimeout(ms: number): Promise<void> {
    await this.#control.kill(ms);
  }

  async requestKill(): Promise<void> {
    await this.#control.requestKill();
  }

  async requestDrain(): Promise<void> {
    await this.#control.requestDrain();
  }

  async waitUntilStopped(): Promise<SandboxStopResult> {
    return await this.#control.waitUntilStopped();
  }

  /** Waits until the sandbox has this status. @throws SandboxReplacedError, SandboxNotFoundError */
  async waitForStatus(status: SandboxStatus): Promise<SandboxHandle> {
    return handleOf(this.#control.home, await this.#control.waitForStatus(status));
  }

  async restart(options: RestartOptions = {}): Promise<Sandbox> {
    return await restartSandbox(this.#control, options);
  }

  async destroy(options: DestroyOptions = {}): Promise<void> {
    await destroySandbox(this.#control, options);
  }

  /** @throws SandboxStillRunningError */
  async remove(): Promise<void> {
    await this.#control.remove();
  }

  async ping(): Promise<SandboxPingResult> {
    return await this.#control.ping();
  }

  async touch(): Promise<SandboxTouchResult> {
    return await this.#control.touch();
  }

  async metrics(): Promise<SandboxMetrics> {
    return await this.#control.metrics();
  }

  /** Works whatever the sandbox is doing. */
  async logs(options: LogReadOptions = {}): Promise<LogEntry[]> {
    return await readLogs((await this.#control.find()).paths, options);
  }

  /** Why the last start failed; null when it did not. */
  async bootError(): Promise<BootErrorReport | null> {
    return await readBootError((await this.#control.find()).paths);
  }

  async logStream(options: LogStreamOptions = {}): Promise<LogStream> {
    return await LogStream.open(this.#control, options);
  }
}

// A class that names itself inside would lose its name in the bundle, and users see it.
function handleOf(home: Home, found: FoundSandbox): SandboxHandle {
  return new SandboxHandle(home, found);
}
