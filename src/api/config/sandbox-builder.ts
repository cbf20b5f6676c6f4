import { checkCallOptions, type WaitOptions } from "../../host/call-options.ts";
import { createSandbox, type Restoring } from "../sandbox/create.ts";
import { built } from "../../config/checks.ts";
import { MountBuilder } from "../../config/mounts/mount-builder.ts";
import type { BesideConfig } from "../../config/sandbox/beside-config.ts";
import type { EnvInput } from "../../config/env.ts";
import type { PairsInput } from "../../config/pairs.ts";
import type { HostShutdown, LogLevel, PullPolicy, ThpMode } from "../../config/enums.ts";
import type { Patch, PatchConfig } from "../../config/patches/patch.ts";
import { PatchBuilder } from "../../config/patches/patch-builder.ts";
import { RootSetters } from "./root-setters.ts";
import type { CreateObserver, PullProgress, StartProgressEvent, StartReport } from "../sandbox/progress.ts";
import { createWithPullProgress, type PullProgressCreate } from "../sandbox/pull-progress-create.ts";
import { chooseRegistry, type RegistryConfigBuilder } from "../../config/registry-config.ts";
import type { RlimitResource } from "../../config/rlimits.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { connectOrCreate } from "../sandbox/connect-or-create.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";
import { SandboxDraft } from "../../config/sandbox/sandbox-draft.ts";
import type { InputValue } from "../../config/settings/setting.ts";
import type { SettingKey, Settings } from "../../config/settings/table.ts";
import type { Mebibytes } from "../../config/sizes.ts";

/**
 * Says what a sandbox is to be, then creates it. Setters never throw: what is wrong is reported by `build()` and
 * `create()` as InvalidConfigError. A builder may be used more than once.
 *
 * Setters of features that this version does not have yet check their arguments; `create()` then fails with
 * UnsupportedOperationError and the setter's name.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("builder-example")
 *   .image("localhost/base")
 *   .cpus(1)
 *   .memory(256)
 *   .env("GREETING", "hello")
 *   .replace()
 *   .create();
 * console.log((await sandbox.shell("echo $GREETING")).stdout());
 * ```
 */
export class SandboxBuilder extends RootSetters {
  #onProgress: ((event: StartProgressEvent) => void) | undefined;
  #onNotice: ((message: string) => void) | undefined;
  #onStarted: ((report: StartReport) => void) | undefined;
  #onPullProgress: ((event: PullProgress) => void) | undefined;
  #signal: AbortSignal | undefined;

  readonly #restoring: Restoring | undefined;

  /**
   * @param name 1 to 128 bytes of letters, digits, `.`, `_`, `-`, beginning with a letter or a digit
   * @param restoring how a snapshot with memory is begun with: see `Sandbox.restore`
   */
  constructor(name: string, restoring?: Restoring) {
    super(new SandboxDraft(name));
    this.#restoring = restoring;
  }

  /**
   * Mounts something at an absolute path of the guest: `volume("/data", m => m.named("data").readonly())`. The place is made where it is
   * missing. Enclosing places are mounted before those in them, whatever the order of the calls.
   */
  volume(guestPath: string, configure: (mount: MountBuilder) => MountBuilder): this {
    this.draft.add("mounts", () => [built("volume", configure, new MountBuilder(guestPath)).build()]);
    return this;
  }

  /** How the image's registry is spoken to: `r => r.auth({ kind: "basic", username, password })`. Not stored. */
  registry(configure: (registry: RegistryConfigBuilder) => RegistryConfigBuilder): this {
    this.draft.put("registry", () => chooseRegistry(configure));
    return this;
  }

  /** Virtual CPUs, 1 to 255; by default 1. A limit, not a reservation. */
  cpus(count: number): this {
    return this.#set("cpus", count);
  }

  /**
   * Memory in MiB; by default 512. A limit: pages are taken from the host as the guest uses them. What the guest's kernel cannot
   * boot with is refused when the sandbox is created: less than 101 with one processor.
   */
  memory(mib: number | Mebibytes): this {
    return this.#set("memoryMib", mib);
  }

  /** The least important events that go to runtime.log; by default warnings and errors. */
  logLevel(level: LogLevel): this {
    return this.#set("logLevel", level).#set("quietLogs", false);
  }

  /** Writes no runtime.log. */
  quietLogs(): this {
    return this.#set("quietLogs", true);
  }

  /** `create()` then behaves as `createDetached()`. */
  detached(enabled: boolean): this {
    return this.#set("detached", enabled);
  }

  /** Removes the sandbox and its state as soon as it has ended. */
  ephemeral(enabled = true): this {
    return this.#set("ephemeral", enabled);
  }

  /** `cpuPercent` of `metrics()` is an average over at least so many ms; by default 1000. 0 disables metrics. */
  metricsSampleIntervalMs(ms: number): this {
    return this.#set("metricsSampleIntervalMs", ms);
  }

  /** `metrics()` then fails with MetricsDisabledError. */
  disableMetricsSample(): this {
    return this.metricsSampleIntervalMs(0);
  }

  /** Working directory of commands; an absolute path in the guest, by default `/`. Made at the start where it is missing. */
  workdir(path: string): this {
    return this.#set("workdir", path);
  }

  /** The shell of `shell()` and `attachShell()`; by default `/bin/sh`. */
  shell(path: string): this {
    return this.#set("shell", path);
  }

  /** Replaces the image's ENTRYPOINT. */
  entrypoint(tokens: Iterable<string>): this {
    return this.#set("entrypoint", tokens);
  }

  /** Replaces the image's CMD; an empty list clears it. */
  cmd(tokens: Iterable<string>): this {
    return this.#set("cmd", tokens);
  }

  /** 1 to 64 bytes; by default derived from the name. */
  hostname(name: string): this {
    return this.#set("hostname", name);
  }

  /** The user of commands: `name`, `uid`, `user:group` or `uid:gid`; by default root. */
  user(spec: string): this {
    return this.#set("user", spec);
  }

  /** When the image is fetched; by default if it is missing. */
  pullPolicy(policy: PullPolicy): this {
    return this.#set("pullPolicy", policy);
  }

  /**
   * Boots another guest kernel: an ELF vmlinux or a bzImage that has the drivers it needs built in, or in a cpio archive
   * beside it named `<path>.initramfs`.
   */
  libkrunfwPath(path: string): this {
    return this.#set("libkrunfwPath", path);
  }

  /**
   * What every process gets first when the sandbox stops, such as `SIGINT`; by default what the image says, else `SIGTERM`.
   * Those that it does not end get `SIGTERM` after half of the time for processes, and `SIGKILL` after all of it.
   */
  stopSignal(signal: string): this {
    return this.#set("stopSignal", signal);
  }

  /** Sets one environment variable of every command. Names with `MSB_` are reserved. */
  env(key: string, value: string): this {
    return this.#set("env", [[key, value]]);
  }

  /** Sets environment variables of every command. */
  envs(values: EnvInput): this {
    return this.#set("env", values);
  }

  /** Adds a label. Keys with `sandbox.`, `microsandbox.` and `service.` are reserved. */
  label(key: string, value: string): this {
    return this.#set("labels", [[key, value]]);
  }

  /** Adds labels. */
  labels(values: PairsInput): this {
    return this.#set("labels", values);
  }

  /** Puts an executable file `/.msb/scripts/<name>` into the guest; the directory is first in the PATH. */
  script(name: string, content: string): this {
    return this.#set("scripts", [[name, content]]);
  }

  /** Puts executable files into `/.msb/scripts`. */
  scripts(values: EnvInput): this {
    return this.#set("scripts", values);
  }

  /**
   * Changes the root file system once, before the first command: `p => p.mkdir("/srv").copyDir("./site", "/srv/www")`. Several
   * calls add to each other.
   */
  patch(configure: (patch: PatchBuilder) => PatchBuilder): this {
    this.draft.attempt(() => {
      this.draft.set("patches", built("patch", configure, new PatchBuilder()).build());
    });
    return this;
  }

  /** The same for one patch that was made with `Patch.text(…)` and the like. */
  addPatch(patch: Patch | PatchConfig): this {
    return this.#set("patches", [patch]);
  }

  /** Limits a resource for every command, soft and hard alike. */
  rlimit(resource: RlimitResource, limit: number): this {
    return this.rlimitRange(resource, limit, limit);
  }

  /** Limits a resource for every command. */
  rlimitRange(resource: RlimitResource, soft: number, hard: number): this {
    return this.#set("rlimits", [{ resource, soft, hard }]);
  }

  /** Stops and removes a sandbox of the same name first, once the new configuration was found valid. */
  replace(): this {
    return this.#set("replace", true);
  }

  /** Like `replace()`, with so many milliseconds for the old one to stop; 0 kills it. */
  replaceWithTimeout(ms: number): this {
    return this.#set("replaceWithTimeoutMs", ms).replace();
  }

  /** Stops the sandbox so many seconds after each boot. */
  maxDuration(secs: number): this {
    return this.#set("maxDurationSecs", secs);
  }

  /** Stops the sandbox when for so many seconds no command ran and nobody called `touch()`. */
  idleTimeout(secs: number): this {
    return this.#set("idleTimeoutSecs", secs);
  }

  /**
   * Pauses the sandbox when for so many seconds no command ran and nobody called `touch()`: it takes no processor time then. The next
   * call that needs its guest wakes it, and so does a connection to a published port; while one is open it is not idle.
   */
  idlePause(secs: number): this {
    return this.#set("idlePauseSecs", secs);
  }

  /**
   * What becomes of the running sandbox when its process gets SIGTERM, as every process does when the host shuts down: `"stop"`, the
   * default, stops it in order; `"suspend"` writes its memory down, so that the next start goes on where it was. One that cannot be
   * suspended then is stopped. It is for sandboxes that nobody owns: one whose owner ends first is stopped. `create()` refuses it, with
   * InvalidConfigError, for an ephemeral sandbox and one that has files of the host or of a program.
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * const sandbox = await Sandbox.builder("keeps-going").image("localhost/base").onHostShutdown("suspend").replace().createDetached();
   * console.log(sandbox.config.onHostShutdown); // prints suspend
   * await sandbox.destroy();
   * ```
   */
  onHostShutdown(how: HostShutdown): this {
    return this.#set("onHostShutdown", how);
  }

  /** The guest kernel's policy for transparent huge pages; by default `madvise`. */
  thp(mode: ThpMode): this {
    return this.#set("thp", mode);
  }

  /** Is told how the start goes on. */
  onProgress(listener: (event: StartProgressEvent) => void): this {
    this.#onProgress = listener;
    return this;
  }

  /** Is told what the user should know once, instead of a process warning. */
  onNotice(listener: (message: string) => void): this {
    this.#onNotice = listener;
    return this;
  }

  /** Is told how the sandbox was started, and why not in a quicker way. */
  onStarted(listener: (report: StartReport) => void): this {
    this.#onStarted = listener;
    return this;
  }

  /** Is told how the pull of the image goes on. */
  onPullProgress(listener: (event: PullProgress) => void): this {
    this.#onPullProgress = listener;
    return this;
  }

  /** Gives a creation up, whatever it is doing: `create()` then fails with the signal's reason, and nothing is left of it. */
  signal(signal: AbortSignal): this {
    this.draft.attempt(() => {
      checkCallOptions("create", { signal });
    });
    this.#signal = signal;
    return this;
  }

  /**
   * The configuration, checked and frozen. Has no side effects.
   *
   * @throws InvalidConfigError
   */
  build(): SandboxConfig {
    return this.draft.finish();
  }

  /** @internal What was given and is no part of the configuration. */
  get beside(): BesideConfig {
    return this.draft.beside;
  }

  /**
   * Creates the sandbox and boots it. This process owns it: when the process ends, so does the sandbox. Of a creation that is
   * given up nothing is left.
   *
   * @throws OperationTimeoutError, the signal's reason; InvalidConfigError, UnsupportedOperationError, SandboxAlreadyExistsError; ImageError and HttpError when the image
   * cannot be had; BootStartError, QemuNotFoundError, LibkrunfwNotFoundError, IoError
   */
  async create(options: WaitOptions = {}): Promise<Sandbox> {
    return await this.#create(!this.build().detached, options);
  }

  /** Creates the sandbox and boots it. It goes on after this process ends. @throws as {@link create} */
  async createDetached(options: WaitOptions = {}): Promise<Sandbox> {
    return await this.#create(false, options);
  }

  /**
   * Like {@link create}, and tells how the pull of the image goes on. What is wrong with the configuration is thrown here;
   * what goes wrong later by `awaitSandbox()`.
   *
   * @throws InvalidConfigError, UnsupportedOperationError, SandboxAlreadyExistsError
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * const creation = await Sandbox.builder("pull-example")
   *   .image("localhost/base")
   *   .replace()
   *   .createWithPullProgress();
   * for await (const event of creation) console.log(event.kind);
   * await using sandbox = await creation.awaitSandbox();
   * ```
   */
  async createWithPullProgress(options: WaitOptions = {}): Promise<PullProgressCreate> {
    return await this.#createWithPullProgress(!this.build().detached, options);
  }

  /** Like {@link createDetached}, otherwise as {@link createWithPullProgress}. */
  async createDetachedWithPullProgress(options: WaitOptions = {}): Promise<PullProgressCreate> {
    return await this.#createWithPullProgress(false, options);
  }

  /**
   * Connects to the sandbox of this name, started if need be, and ignores this builder's settings; creates it when there
   * is none.
   *
   * @throws as {@link create}
   */
  async connectOrCreate(options: WaitOptions = {}): Promise<Sandbox> {
    return await connectOrCreate(this.build(), this.draft.beside, this.#observer(options));
  }

  #set<Key extends SettingKey>(key: Key, input: InputValue<Settings[Key]>): this {
    this.draft.set(key, input);
    return this;
  }

  async #create(attached: boolean, options: WaitOptions): Promise<Sandbox> {
    const observer = this.#observer(options);
    return await createSandbox(this.build(), this.draft.beside, attached, observer, this.#restoring);
  }

  async #createWithPullProgress(attached: boolean, options: WaitOptions): Promise<PullProgressCreate> {
    const observer = this.#observer(options);
    return await createWithPullProgress(this.build(), this.draft.beside, attached, observer, this.#restoring);
  }

  #observer(options: WaitOptions): CreateObserver {
    checkCallOptions("create", options);
    const { signal, timeoutMs } = options;
    const signals = [this.#signal, signal].filter((each) => each !== undefined);
    return {
      onProgress: this.#onProgress,
      onNotice: this.#onNotice,
      onStarted: this.#onStarted,
      onPullProgress: this.#onPullProgress,
      signal: signals.length === 0 ? undefined : AbortSignal.any(signals),
      timeoutMs,
    };
  }
}
