import type { Agent, AgentOptions } from "node:http";
import { SandboxStillRunningError } from "../../errors/index.ts";
import { SandboxStatuses, type SandboxStatus } from "../../config/enums.ts";
import type { PublishedPort } from "../../config/network/network-type.ts";
import { checkOneOf } from "../../config/checks.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import type { Home } from "../../store/home.ts";
import { sandboxPaths, type FoundSandbox } from "../../store/sandboxes.ts";
import { requireNoProviders } from "../../config/mounts/provider-mounts.ts";
import { requireNoHooks } from "../providers/run-hooks.ts";
import { requireNoFunctions } from "../providers/run-secrets.ts";
import { configOf } from "../../config/sandbox/effective-config.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import type { ExitStatus } from "../exec/exec-output.ts";
import { SandboxCommands } from "../exec/sandbox-commands.ts";
import { SandboxFs } from "../fs/sandbox-fs.ts";
import { readBootError, type BootErrorReport } from "../logs/read-logs.ts";
import { MetricsStream } from "../metrics/metrics.ts";
import { MetricsSubscription } from "../metrics/metrics-subscription.ts";
import {
  checkGuestPort,
  connectGuest,
  connectMs,
  guestConnectionOptions,
  type GuestConnectionOptions,
} from "../network/connect-guest.ts";
import { guestConnector, guestHttpAgent, type GuestConnector } from "../network/guest-agent.ts";
import type { GuestSocket } from "../network/guest-socket.ts";
import { SandboxSshOps } from "../ssh/ssh-ops.ts";
import { SandboxLifecycle } from "./lifecycle.ts";
import type { StartReport } from "./progress.ts";
import { checkMs, defaultConnectMs, defaultGraceMs } from "../control/control-limits.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import { isTerminal, isUp } from "../../config/enums.ts";
import type { SandboxStopResult } from "../control/stop-result.ts";
import {
  checkRestartOptions,
  restartSandbox,
  startOptions,
  startSandbox,
  type RestartOptions,
  type StartedSandbox,
  type StartOptions,
} from "./start.ts";

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
export class Sandbox extends SandboxCommands<Sandbox> implements AsyncDisposable {
  readonly name: string;
  /** Identifies this sandbox among all that ever had its name. */
  readonly id: string;
  /** How it was created, every default filled in. Frozen. */
  readonly config: Readonly<SandboxConfig>;
  /** How this run of the sandbox was started; null when its own process is of a version that does not tell. */
  readonly startReport: StartReport | null;
  #ownsLifecycle: boolean;
  #fs: SandboxFs | null = null;

  /** @internal */
  constructor(control: SandboxControl, ownsLifecycle: boolean, startReport: StartReport | null) {
    super(control);
    this.name = control.name;
    this.id = control.id;
    this.config = configOf(control.record);
    this.startReport = startReport;
    this.#ownsLifecycle = ownsLifecycle;
  }

  /** Whether the sandbox ends with this process. */
  get ownsLifecycle(): boolean {
    return this.#ownsLifecycle;
  }

  protected override get ownsRun(): boolean {
    return this.#ownsLifecycle;
  }

  protected override get ownsStart(): boolean {
    return this.#ownsLifecycle;
  }

  protected override childOf(started: StartedSandbox): Sandbox {
    return startedOf(started, false);
  }

  /** The sandbox's files. Always the same object. */
  fs(): SandboxFs {
    return (this.#fs ??= new SandboxFs(this.control));
  }

  /** SSH: clients in this process, and servers for all others. */
  ssh(): SandboxSshOps {
    return new SandboxSshOps(this, this.control.home, sandboxPaths(this.control.home, this.name).directory);
  }

  /**
   * Connects to a TCP port of the guest, published or not. The guest sees its gateway at the other end; the policy's rules for ingress
   * are not asked, because it is this computer that connects. It keeps the program alive until it is closed, as a `net.Socket` does.
   *
   * @param options `timeoutMs` is 10,000 if it is not given; both are of no meaning once it is connected
   * @throws RuntimeError when nobody listens there; SandboxNotRunningError; UnsupportedOperationError for a sandbox without a network
   *
   * @example
   * ```ts
   * import { text } from "node:stream/consumers";
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("connect-example").image("localhost/base").replace().create();
   * const server = await sandbox.execStream("nc", ["-ll", "-p", "8000", "-e", "echo", "hello"]);
   * await sandbox.waitForPort(8000);
   * const socket = await sandbox.connect(8000);
   * console.log(await text(socket)); // hello
   * await server.kill();
   * ```
   */
  async connect(port: number, options: GuestConnectionOptions & WaitOptions = {}): Promise<GuestSocket> {
    const limited = { timeoutMs: connectMs, ...options };
    const connect = (operation: Operation): Promise<GuestSocket> =>
      connectGuest(this.control, port, operation, options);
    const name = `connect to port ${String(port)} of sandbox`;
    return await this.control.run(name, limited, connect, guestConnectionOptions);
  }

  /**
   * An agent for `node:http` whose connections go to the guest: to this port, or else to the port of each request.
   *
   * @param options as of `http.Agent`; `keepAlive` keeps connections for the next request
   * @throws InvalidConfigError for what is no port
   *
   * @example
   * ```ts
   * import { once } from "node:events";
   * import { get } from "node:http";
   * import { text } from "node:stream/consumers";
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("agent-example").image("localhost/base").replace().create();
   * const server = await sandbox.execStream("httpd", ["-f", "-p", "8000", "-h", "/etc"]);
   * await sandbox.waitForPort(8000);
   * const agent = sandbox.httpAgent(8000);
   * const [response] = await once(get({ agent, path: "/hostname" }), "response");
   * console.log(await text(response));
   * await server.kill();
   * ```
   */
  httpAgent(port?: number, options: AgentOptions = {}): Agent {
    const fixed = port === undefined ? null : checkGuestPort(port);
    const connect = (target: number, signal?: AbortSignal): Promise<GuestSocket> =>
      this.connect(target, signal === undefined ? {} : { signal });
    return guestHttpAgent(connect, fixed, options);
  }

  /**
   * What undici's dispatchers take as `connect`: `new Agent({ connect: sandbox.connector(8000) })`, which serves `fetch()` as its
   * `dispatcher`. Connections go to this port of the guest, or else to the port of each request; for `https:` TLS is spoken with the guest's
   * server, and its certificate is checked for the name in the URL.
   *
   * @throws InvalidConfigError for what is no port
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("connector-example").image("localhost/base").replace().create();
   * const connect = sandbox.connector(8000); // with undici: new Agent({ connect })
   * console.log(typeof connect); // function
   * ```
   */
  connector(port?: number): GuestConnector {
    return guestConnector((target) => this.connect(target), port === undefined ? null : checkGuestPort(port));
  }

  /**
   * Gives up ownership: the sandbox goes on after this process. The object stays usable. Again does nothing.
   *
   * @throws UnsupportedOperationError for one with files that this process provides, or functions of it
   */
  async detach(options: WaitOptions = {}): Promise<void> {
    if (!this.#ownsLifecycle) return;
    requireNoProviders(this.config.mounts, `sandbox ${this.name}`);
    requireNoFunctions(this.control.parts.secrets.material, `sandbox ${this.name}`);
    requireNoHooks(this.control.parts.hooks, `sandbox ${this.name}`);
    await this.control.run("detach sandbox", options, (operation) =>
      this.control.request(operation, { type: "Detach" }, "Done"),
    );
    this.#ownsLifecycle = false;
  }

  /** Stops the sandbox and tells how its VM ended. */
  async stopAndWait(options: WaitOptions = {}): Promise<ExitStatus> {
    return exitStatus(
      await this.control.run("stop sandbox", options, (operation) =>
        this.control.stop(operation, defaultGraceMs),
      ),
    );
  }

  /** Refuses new commands from now on; the sandbox stops when the last one has ended. Returns when that is arranged. */
  async drain(options: WaitOptions = {}): Promise<void> {
    await this.requestDrain(options);
  }

  /** Waits until the sandbox has ended by itself or by others. */
  async wait(options: WaitOptions = {}): Promise<ExitStatus> {
    return exitStatus(await this.waitUntilStopped(options));
  }

  /** Waits until the sandbox has this status. @throws SandboxReplacedError, SandboxNotFoundError */
  async waitForStatus(status: SandboxStatus, options: WaitOptions = {}): Promise<SandboxHandle> {
    checkOneOf("the status to wait for", status, SandboxStatuses);
    const found = await this.control.run(`wait for the status ${status} of sandbox`, options, (operation) =>
      this.control.waitForStatus(operation, status),
    );
    return handleOf(this.control.home, found);
  }

  /** Stops the sandbox if it runs and boots it again. */
  async restart(options: RestartOptions = {}): Promise<Sandbox> {
    checkRestartOptions(options);
    const started = await this.control.run("restart sandbox", { signal: options.signal }, (operation) =>
      restartSandbox(operation, this.control, options),
    );
    return startedOf(started, options.detached !== true);
  }

  /** Removes the sandbox and all its state. @throws SandboxStillRunningError while it runs */
  async removePersisted(options: WaitOptions = {}): Promise<void> {
    await this.control.run("remove sandbox", options, (operation) => operation.wait(this.control.remove()));
  }

  /** What the sandbox uses, at once and then every so many ms. @throws InvalidConfigError for an interval that is none */
  metricsStream(intervalMs: number): MetricsStream {
    return new MetricsStream(new MetricsSubscription(this.control, intervalMs), intervalMs);
  }

  /** @internal Ends an ephemeral sandbox and does not wait until all of it is gone. @throws RuntimeError when it is none */
  async discard(options: WaitOptions = {}): Promise<void> {
    await this.control.run("discard sandbox", options, (operation) => this.control.discard(operation));
  }

  /** Stops the sandbox if this process owns it, else only closes the connection to it. Never fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ownsLifecycle) await this.stop().catch(() => undefined);
    this.control.disconnect();
  }
}

/** A sandbox that was looked up, running or not. It never owns the sandbox. */
export class SandboxHandle extends SandboxLifecycle<Sandbox> {
  readonly name: string;
  readonly id: string;
  /** What it was doing when it was looked up. */
  readonly status: SandboxStatus;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly #found: FoundSandbox;

  /** @internal */
  constructor(home: Home, found: FoundSandbox) {
    super(new SandboxControl(home, found.record, null, false));
    this.#found = found;
    this.name = found.record.name;
    this.id = found.record.id;
    this.status = found.status;
    this.createdAt = new Date(found.record.createdAt);
    this.updatedAt = new Date(found.state.updatedAt);
  }

  protected override childOf(started: StartedSandbox): Sandbox {
    return startedOf(started, false);
  }

  /** Its configuration as JSON. */
  get configJson(): string {
    return JSON.stringify(this.config());
  }

  /** The accelerator of the latest run: `kvm`, `hvf` or `tcg`; null when it never ran. */
  get accelerator(): string | null {
    return this.#found.state.accelerator;
  }

  /** How the latest run was started; null when there was none, or it did not come so far. */
  get startReport(): StartReport | null {
    return startReportOf(this.#found);
  }

  /** The ports of the guest that the host offered when it was looked up: {@link ports} says what they are now. */
  get publishedPorts(): readonly PublishedPort[] {
    return isTerminal(this.status) ? [] : this.#found.state.ports;
  }

  config(): SandboxConfig {
    return configOf(this.#found.record);
  }

  /** Looks the sandbox up again. @throws SandboxNotFoundError, SandboxReplacedError */
  async refresh(options: WaitOptions = {}): Promise<SandboxHandle> {
    const found = await this.control.run("look up sandbox", options, (operation) =>
      operation.wait(this.control.find()),
    );
    return handleOf(this.control.home, found);
  }

  /** Connects to the running sandbox, without owning it. @throws SandboxNotRunningError; RuntimeError after 10 s without an answer */
  async connect(options: WaitOptions = {}): Promise<Sandbox> {
    return await this.connectWithTimeout(defaultConnectMs, options);
  }

  /** Like {@link connect}, with another limit than 10 s for the answer, ms. `timeoutMs` limits the call as a whole. */
  async connectWithTimeout(ms: number, options: WaitOptions = {}): Promise<Sandbox> {
    const control = new SandboxControl(this.control.home, this.#found.record, null, true);
    const limit = checkMs("the time to connect", ms);
    await control.run("connect to sandbox", options, (operation) => control.connect(operation, limit));
    // Of the run that answers, which may have begun after this handle was made.
    const found = await control.find().catch(() => null);
    return new Sandbox(control, false, found === null ? null : startReportOf(found));
  }

  /** Boots it; this process owns it. @throws SandboxStillRunningError, BootStartError */
  async start(options: StartOptions = {}): Promise<Sandbox> {
    return await this.#start(true, options);
  }

  /** Boots it; it goes on after this process. @throws as {@link start} */
  async startDetached(options: StartOptions = {}): Promise<Sandbox> {
    return await this.#start(false, options);
  }

  /** Connects to it when it runs, waits for it when it starts, starts it when it does not run. */
  async connectOrStart(options: { readonly detached?: boolean } & StartOptions = {}): Promise<Sandbox> {
    const { detached, ...observer } = options;
    const connectOrStart = async (operation: Operation): Promise<Sandbox> => {
      const { signal } = operation;
      for (;;) {
        const { status } = await this.control.find();
        if (isUp(status)) return await this.connect({ signal });
        if (isTerminal(status)) {
          try {
            return await this.#start(detached !== true, { ...observer, signal, timeoutMs: undefined });
          } catch (error) {
            // Another program was first; its supervisor has not said so yet.
            if (!(error instanceof SandboxStillRunningError)) throw error;
          }
        }
        await this.control.waitForChange(operation);
      }
    };
    const others = { ...startOptions, detached: "boolean" } as const;
    return await this.control.run("connect to or start sandbox", options, connectOrStart, others);
  }

  async #start(attached: boolean, options: StartOptions): Promise<Sandbox> {
    const start = (operation: Operation): Promise<StartedSandbox> =>
      startSandbox(operation, this.control, attached, options);
    const { control, report } = await this.control.run("start sandbox", options, start, startOptions);
    return new Sandbox(control, attached, report);
  }

  /** Waits until the sandbox has this status. @throws SandboxReplacedError, SandboxNotFoundError */
  async waitForStatus(status: SandboxStatus, options: WaitOptions = {}): Promise<SandboxHandle> {
    checkOneOf("the status to wait for", status, SandboxStatuses);
    const found = await this.control.run(`wait for the status ${status} of sandbox`, options, (operation) =>
      this.control.waitForStatus(operation, status),
    );
    return handleOf(this.control.home, found);
  }

  async restart(options: RestartOptions = {}): Promise<Sandbox> {
    checkRestartOptions(options);
    const started = await this.control.run("restart sandbox", { signal: options.signal }, (operation) =>
      restartSandbox(operation, this.control, options),
    );
    return startedOf(started, options.detached !== true);
  }

  /** @throws SandboxStillRunningError */
  async remove(options: WaitOptions = {}): Promise<void> {
    await this.control.run("remove sandbox", options, (operation) => operation.wait(this.control.remove()));
  }

  /** Why the last start failed; null when it did not. */
  async bootError(options: WaitOptions = {}): Promise<BootErrorReport | null> {
    return await this.control.run("read the boot error of sandbox", options, (operation) =>
      operation.wait(this.control.find().then(({ paths }) => readBootError(paths))),
    );
  }
}

// A class that names itself inside would lose its name in the bundle, and users see it.
function startedOf({ control, report }: StartedSandbox, attached: boolean): Sandbox {
  return new Sandbox(control, attached, report);
}

function handleOf(home: Home, found: FoundSandbox): SandboxHandle {
  return new SandboxHandle(home, found);
}

function startReportOf({ state: { start, accelerator } }: FoundSandbox): StartReport | null {
  return start === null || accelerator === null ? null : { ...start, accelerator };
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
