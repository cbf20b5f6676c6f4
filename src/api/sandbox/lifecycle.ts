import type { LogEntry, LogReadOptions } from "../logs/log-entry.ts";
import { LogStream, type LogStreamOptions } from "../logs/log-stream.ts";
import { readLogs } from "../logs/read-logs.ts";
import type { SandboxMetrics } from "../metrics/metrics.ts";
import {
  defaultGraceMs,
  killWaitMs,
  type SandboxControl,
  type SandboxPingResult,
  type SandboxStopResult,
  type SandboxTouchResult,
} from "../control/sandbox-control.ts";
import { destroySandbox, type DestroyOptions } from "./start.ts";

/** What can be done to a sandbox by whoever knows it: what {@link Sandbox} and {@link SandboxHandle} have in common. */
export class SandboxLifecycle {
  protected readonly control: SandboxControl;

  /** @internal */
  constructor(control: SandboxControl) {
    this.control = control;
    // Of no use to users: kept out of what inspect shows.
    Object.defineProperty(this, "control", { enumerable: false });
  }

  /** Stops the sandbox in order: SIGTERM to its processes, file systems flushed. After 10 s it is killed. */
  async stop(): Promise<void> {
    await this.control.stop(defaultGraceMs);
  }

  /** Like {@link stop} with another grace, ms; 0 kills at once. */
  async stopWithTimeout(ms: number): Promise<void> {
    await this.control.stop(ms);
  }

  /** Asks for the stop and returns. */
  async requestStop(): Promise<void> {
    await this.control.requestStop(defaultGraceMs);
  }

  /** Ends the VM at once. What its programs had not flushed is lost. */
  async kill(): Promise<void> {
    await this.control.kill(killWaitMs);
  }

  /** Like {@link kill}. What has not ended after so many ms, at least 5000, is killed together with its own process. */
  async killWithTimeout(ms: number): Promise<void> {
    await this.control.kill(ms);
  }

  /** Asks for the kill and returns. */
  async requestKill(): Promise<void> {
    await this.control.requestKill();
  }

  /** Refuses new commands from now on; the sandbox stops when the last one has ended. Returns when that is arranged. */
  async requestDrain(): Promise<void> {
    await this.control.requestDrain();
  }

  /** Waits until the sandbox has ended and tells how. */
  async waitUntilStopped(): Promise<SandboxStopResult> {
    return await this.control.waitUntilStopped();
  }

  /** Stops the sandbox if it runs and removes it. */
  async destroy(options: DestroyOptions = {}): Promise<void> {
    await destroySandbox(this.control, options);
  }

  /** Asks the guest for a sign of life. Does not count as activity. @throws SandboxNotRunningError */
  async ping(): Promise<SandboxPingResult> {
    return await this.control.ping();
  }

  /** Counts as activity: restarts the idle timeout. @throws SandboxNotRunningError */
  async touch(): Promise<SandboxTouchResult> {
    return await this.control.touch();
  }

  /** What the sandbox uses now. @throws SandboxNotRunningError, MetricsDisabledError */
  async metrics(): Promise<SandboxMetrics> {
    return await this.control.metrics();
  }

  /** What its commands have printed, from all runs that are still logged. */
  async logs(options: LogReadOptions = {}): Promise<LogEntry[]> {
    return await readLogs((await this.control.find()).paths, options);
  }

  /** What its commands print, entry by entry. */
  async logStream(options: LogStreamOptions = {}): Promise<LogStream> {
    return await LogStream.open(this.control, options);
  }
}
