import { configOf, type SandboxConfig } from "../config/sandbox-config.ts";
import { SandboxCommands } from "../exec/sandbox-commands.ts";
import { createSandbox } from "./create.ts";
import type { ExitStatus } from "../exec/exec-output.ts";
import { findHandle, listHandles, listPage, type ListedSandboxes } from "./list.ts";
import type { SandboxListBuilder, SandboxPage } from "./list-builder.ts";
import type { LogEntry, LogReadOptions } from "../logs/log-entry.ts";
import { readLogs } from "../logs/read-logs.ts";
import { LogStream, type LogStreamOptions } from "../logs/log-stream.ts";
import { MetricsSubscription } from "../metrics/metrics-subscription.ts";
import { MetricsStream, type SandboxMetrics } from "../metrics/metrics.ts";
import type { StartObserver } from "./progress.ts";
import { SandboxBuilder } from "../config/sandbox-builder.ts";
import {
  defaultGraceMs,
  killWaitMs,
  type SandboxControl,
  type SandboxPingResult,
  type SandboxStopResult,
  type SandboxTouchResult,
} from "./sandbox-control.ts";
import { draftFromConfig, type SandboxConfigInput } from "../config/config-object.ts";
import { SandboxHandle } from "./sandbox-handle.ts";
import type { SandboxStatus } from "../../config/enums.ts";
import { startSandbox, type DestroyOptions, type RestartOptions } from "./start.ts";
import { checkSandboxName } from "../../store/names.ts";
import { locateHome } from "../../store/home.ts";
import { removeSandbox } from "../../store/sandboxes.ts";

/**
 * A sandbox: a virtual machine with its own kernel and file system, in which commands are run.
 *
 * One that was created or started here is *attached*: this process owns it, and when the process ends, however it ends,
 * so does the sandbox. `createDetached()`, `startDetached()` and `detach()` let it go on.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("hello").image("localhost/base").replace().create();
 * const output = await sandbox.exec("uname", ["-sr"]);
 * console.log(output.stdout());
 * ```
 */
export class Sandbox extends SandboxCommands implements AsyncDisposable {
  readonly name: string;
  /** Identifies this sandbox among all that ever had its name. */
  readonly id: string;
  /** How it was created, every default filled in. Frozen. */
  readonly config: Readonly<SandboxConfig>;
  #ownsLifecycle: boolean;

  /** @internal */
  constructor(control: SandboxControl, ownsLifecycle: boolean) {
    super(control);
    this.name = control.name;
    this.id = control.id;
    this.config = configOf(control.record);
    this.#ownsLifecycle = ownsLifecycle;
  }

  /** Begins a new sandbox. What is wrong with the name is reported by `build()` and `create()`. */
  static builder(name: string): SandboxBuilder {
    return new SandboxBuilder(name);
  }

  /** Creates and boots a sandbox that this process owns. @throws as `SandboxBuilder.create` */
  static async create(config: SandboxConfigInput, observer: StartObserver = {}): Promise<Sandbox> {
    const draft = draftFromConfig(config);
    const checked = draft.finish();
    return await createSandbox(checked, draft.unsupported, !checked.detached, observer);
  }

  /** Creates and boots a sandbox that goes on after this process. @throws as `SandboxBuilder.create` */
  static async createDetached(config: SandboxConfigInput, observer: StartObserver = {}): Promise<Sandbox> {
    const draft = draftFromConfig(config);
    return await createSandbox(draft.finish(), draft.unsupported, false, observer);
  }

  /** Finds a sandbox, running or not. @throws SandboxNotFoundError, InvalidConfigError for a name that none can have */
  static async get(name: string): Promise<SandboxHandle> {
    return await findHandle(name);
  }

  /** All sandboxes, newest first. */
  static async list(): Promise<ListedSandboxes> {
    return await listHandles();
  }

  /** Some of the sandboxes, newest first: filtered by labels, page by page. @throws InvalidCursorError, InvalidConfigError */
  static async listWith(configure: (list: SandboxListBuilder) => SandboxListBuilder): Promise<SandboxPage> {
    return await listPage(configure);
  }

  /** Removes a sandbox that does not run, and all its state. @throws SandboxNotFoundError, SandboxStillRunningError */
  static async remove(name: string): Promise<void> {
    checkSandboxName(name);
    await removeSandbox(locateHome(), name, null);
  }

  /** Boots a stopped sandbox again; this process owns it. @throws SandboxStillRunningError, SandboxNotFoundError, BootStartError */
  static async start(name: string, observer: StartObserver = {}): Promise<Sandbox> {
    return await (await findHandle(name)).start(observer);
  }

  /** Boots a stopped sandbox again; it goes on after this process. @throws as {@link start} */
  static async startDetached(name: string, observer: StartObserver = {}): Promise<Sandbox> {
    return await (await findHandle(name)).startDetached(observer);
  }

  /** Whether the sandbox ends with this process. */
  get ownsLifecycle(): boolean {
    return this.#ownsLifecycle;
  }

  /** Gives up ownership: the sandbox goes on after this process. The object stays usable. Again does nothing. */
  async detach(): Promise<void> {
    if (!this.#ownsLifecycle) return;
    await this.control.request({ type: "Detach" }, "Done");
    this.#ownsLifecycle = false;
  }

  /** Stops the sandbox in order: SIGTERM to its processes, file systems flushed. After 10 s it is killed. */
  async stop(): Promise<void> {
    await this.control.stop(defaultGraceMs);
  }

  /** Like {@link stop} with another grace, ms; 0 kills at once. */
  async stopWithTimeout(ms: number): Promise<void> {
    await this.control.stop(ms);
  }

  /** Stops the sandbox and tells how its VM ended. */
  async stopAndWait(): Promise<ExitStatus> {
    return exitStatus(await this.control.stop(defaultGraceMs));
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
  async drain(): Promise<void> {
    await this.control.requestDrain();
  }

  /** The same as {@link drain}. */
  async requestDrain(): Promise<void> {
    await this.control.requestDrain();
  }

  /** Waits until the sandbox has ended by itself or by others. */
  async wait(): Promise<ExitStatus> {
    return exitStatus(await this.control.waitUntilStopped());
  }

  /** Waits until the sandbox has ended and tells how. */
  async waitUntilStopped(): Promise<SandboxStopResult> {
    return await this.control.waitUntilStopped();
  }

  /** Waits until the sandbox has this status. @throws SandboxReplacedError, SandboxNotFoundError */
  async waitForStatus(status: SandboxStatus): Promise<SandboxHandle> {
    return new SandboxHandle(this.control.home, await this.control.waitForStatus(status));
  }

  /** Stops the sandbox if it runs and boots it again. */
  async restart(options: RestartOptions = {}): Promise<Sandbox> {
    return await restartSandbox(this.control, options);
  }

  /** Stops the sandbox if it runs and removes it. */
  async destroy(options: DestroyOptions = {}): Promise<void> {
    await destroySandbox(this.control, options);
  }

  /** Removes the sandbox and all its state. @throws SandboxStillRunningError while it runs */
  async removePersisted(): Promise<void> {
    await this.control.remove();
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

  /** What the sandbox uses, at once and then every so many ms. @throws InvalidConfigError for an interval that is none */
  metricsStream(intervalMs: number): MetricsStream {
    return new MetricsStream(new MetricsSubscription(this.control, intervalMs), intervalMs);
  }

  /** What its commands have printed, from all runs that are still logged. */
  async logs(options: LogReadOptions = {}): Promise<LogEntry[]> {
    return await readLogs((await this.control.find()).paths, options);
  }

  /** What its commands print, entry by entry. */
  async logStream(options: LogStreamOptions = {}): Promise<LogStream> {
    return await LogStream.open(this.control, options);
  }

  /** Stops the sandbox if this process owns it, else only closes the connection to it. Never fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ownsLifecycle) await this.stop().catch(() => undefined);
    this.control.disconnect();
  }
}

export async function restartSandbox(control: SandboxControl, options: RestartOptions): Promise<Sandbox> {
  if (options.force === true) await control.kill(killWaitMs);
  else await control.stop(options.timeoutMs ?? defaultGraceMs);
  const attached = options.detached !== true;
  return new Sandbox(await startSandbox(control, attached, options), attached);
}

export async function destroySandbox(control: SandboxControl, options: DestroyOptions): Promise<void> {
  if (options.force === true) await control.kill(killWaitMs);
  else await control.stop(options.timeoutMs ?? defaultGraceMs);
  await control.remove().catch((error: unknown) => {
    // An ephemeral sandbox has removed itself.
    if (error instanceof Error && error.name === "SandboxNotFoundError" && control.record.config.ephemeral)
      return;
    throw error;
  });
}

/** As a shell would report QEMU's end; an end that was no orderly one is never 0. */
function exitStatus(result: SandboxStopResult): ExitStatus {
  if (result.status === "stopped" && result.signal === null) {
    const code = result.exitCode ?? 0;
    return { code, success: code === 0 };
  }
  const code =
    result.signal === "SIGKILL"
      ? 137
      : result.exitCode === null || result.exitCode === 0
        ? 1
        : result.exitCode;
  return { code, success: false };
}
