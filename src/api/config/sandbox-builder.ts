import { createSandbox } from "../sandbox/create.ts";
import { envPairs, type EnvInput } from "../../config/env.ts";
import type { LogLevel, PullPolicy, ThpMode } from "../../config/enums.ts";
import type { ImageBuilder } from "./image-builder.ts";
import { LaterSettings } from "./later-settings.ts";
import type { CreateObserver, PullProgress, StartProgressEvent, StartReport } from "../sandbox/progress.ts";
import { createWithPullProgress, type PullProgressCreate } from "../sandbox/pull-progress-create.ts";
import { chooseRegistry, type RegistryConfigBuilder } from "./registry-config.ts";
import type { RlimitResource } from "../../config/rlimits.ts";
import type { RootDiskBuilder } from "../../config/root-disk-builder.ts";
import type { RootfsSource } from "../../config/rootfs-source.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { connectOrCreate } from "../sandbox/connect-or-create.ts";
import type { SandboxConfig } from "./sandbox-config.ts";
import { SandboxDraft, settersOf, type ScalarSetters } from "./sandbox-draft.ts";
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
export class SandboxBuilder extends LaterSettings {
  readonly #set: ScalarSetters;
  #onProgress: ((event: StartProgressEvent) => void) | undefined;
  #onNotice: ((message: string) => void) | undefined;
  #onStarted: ((report: StartReport) => void) | undefined;
  #onPullProgress: ((event: PullProgress) => void) | undefined;
  #signal: AbortSignal | undefined;

  /** @param name 1 to 128 bytes of letters, digits, `.`, `_`, `-`, beginning with a letter or a digit */
  constructor(name: string) {
    super(new SandboxDraft(name));
    this.#set = settersOf(this.draft);
  }

  /**
   * What the root file system is made from. Required. A string is an image's reference, such as `localhost/base` or
   * `python:3.12`; a directory of the host when it begins with `/`, `./` or `../`; a disk image of the host when it ends in
   * `.qcow2`, `.raw` or `.vmdk`.
   */
  image(source: string | RootfsSource): this {
    this.draft.image(source);
    return this;
  }

  /** The same, said in words: `i => i.disk("root.img.raw").fstype("ext4")`. */
  imageWith(configure: (image: ImageBuilder) => ImageBuilder): this {
    this.draft.imageWith(configure);
    return this;
  }

  /**
   * What the guest writes to, over an image: a sparse file of so many MiB on the host, by default 4096; or as the function
   * says, such as `d => d.tmpfs().size(256)`.
   */
  rootDisk(disk: number | Mebibytes | ((disk: RootDiskBuilder) => RootDiskBuilder)): this {
    this.draft.rootDisk(disk);
    return this;
  }

  /** How the image's registry is spoken to: `r => r.auth({ kind: "basic", username, password })`. Not stored. */
  registry(configure: (registry: RegistryConfigBuilder) => RegistryConfigBuilder): this {
    this.draft.attempt((fields) => (fields.registry = chooseRegistry(configure)));
    return this;
  }

  /** Virtual CPUs, 1 to 255; by default 1. A limit, not a reservation. */
  cpus(count: number): this {
    this.#set.cpus(count);
    return this;
  }

  /** Memory in MiB; by default 512. A limit: pages are taken from the host as the guest uses them. */
  memory(mib: number | Mebibytes): this {
    this.#set.memory(mib);
    return this;
  }

  /** The least important events that go to runtime.log; by default warnings and errors. */
  logLevel(level: LogLevel): this {
    this.#set.logLevel(level);
    this.draft.attempt((fields) => (fields.quietLogs = false));
    return this;
  }

  /** Writes no runtime.log. */
  quietLogs(): this {
    this.draft.attempt((fields) => (fields.quietLogs = true));
    return this;
  }

  /** `create()` then behaves as `createDetached()`. */
  detached(enabled: boolean): this {
    this.draft.attempt((fields) => (fields.detached = enabled));
    return this;
  }

  /** Removes the sandbox and its state as soon as it has ended. */
  ephemeral(enabled = true): this {
    this.draft.attempt((fields) => (fields.ephemeral = enabled));
    return this;
  }

  /** `cpuPercent` of `metrics()` is an average over at least so many ms; by default 1000. 0 disables metrics. */
  metricsSampleIntervalMs(ms: number): this {
    this.#set.metricsSampleIntervalMs(ms);
    return this;
  }

  /** `metrics()` then fails with MetricsDisabledError. */
  disableMetricsSample(): this {
    return this.metricsSampleIntervalMs(0);
  }

  /** Working directory of commands; an absolute path in the guest, by default `/`. It must exist. */
  workdir(path: string): this {
    this.#set.workdir(path);
    return this;
  }

  /** The shell of `shell()` and `attachShell()`; by default `/bin/sh`. */
  shell(path: string): this {
    this.#set.shell(path);
    return this;
  }

  /** Replaces the image's ENTRYPOINT. */
  entrypoint(tokens: Iterable<string>): this {
    this.#set.entrypoint(tokens);
    return this;
  }

  /** Replaces the image's CMD; an empty list clears it. */
  cmd(tokens: Iterable<string>): this {
    this.#set.cmd(tokens);
    return this;
  }

  /** 1 to 64 bytes; by default derived from the name. */
  hostname(name: string): this {
    this.#set.hostname(name);
    return this;
  }

  /** The user of commands: `name`, `uid`, `user:group` or `uid:gid`; by default root. */
  user(spec: string): this {
    this.#set.user(spec);
    return this;
  }

  /** When the image is fetched; by default if it is missing. */
  pullPolicy(policy: PullPolicy): this {
    this.#set.pullPolicy(policy);
    return this;
  }

  /**
   * Boots another guest kernel: an ELF vmlinux or a bzImage that has the drivers it needs built in, or in a cpio archive
   * beside it named `<path>.initramfs`.
   */
  libkrunfwPath(path: string): this {
    this.#set.libkrunfwPath(path);
    return this;
  }

  /**
   * What every process gets first when the sandbox stops, such as `SIGINT`; by default what the image says, else `SIGTERM`.
   * Those that it does not end get `SIGTERM` after half of the time for processes, and `SIGKILL` after all of it.
   */
  stopSignal(signal: string): this {
    this.#set.stopSignal(signal);
    return this;
  }

  /** Sets one environment variable of every command. Names with `MSB_` are reserved. */
  env(key: string, value: string): this {
    this.draft.env([[key, value]]);
    return this;
  }

  /** Sets environment variables of every command. */
  envs(values: EnvInput): this {
    this.draft.env(values);
    return this;
  }

  /** Adds a label. Keys with `sandbox.`, `microsandbox.` and `service.` are reserved. */
  label(key: string, value: string): this {
    this.draft.labels([[key, value]]);
    return this;
  }

  /** Adds labels. */
  labels(values: Readonly<Record<string, string>>): this {
    this.draft.labels(Object.entries(values));
    return this;
  }

  /** Puts an executable file `/.msb/scripts/<name>` into the guest; the directory is first in the PATH. */
  script(name: string, content: string): this {
    this.draft.scripts([[name, content]]);
    return this;
  }

  /** Puts executable files into `/.msb/scripts`. */
  scripts(values: EnvInput): this {
    this.draft.scripts(envPairs(values));
    return this;
  }

  /** Limits a resource for every command, soft and hard alike. */
  rlimit(resource: RlimitResource, limit: number): this {
    return this.rlimitRange(resource, limit, limit);
  }

  /** Limits a resource for every command. */
  rlimitRange(resource: RlimitResource, soft: number, hard: number): this {
    this.draft.rlimit(resource, soft, hard);
    return this;
  }

  /** Stops and removes a sandbox of the same name first, once the new configuration was found valid. */
  replace(): this {
    this.draft.attempt((fields) => (fields.replace = true));
    return this;
  }

  /** Like `replace()`, with so many milliseconds for the old one to stop; 0 kills it. */
  replaceWithTimeout(ms: number): this {
    this.#set.replaceWithTimeoutMs(ms);
    return this.replace();
  }

  /** Stops the sandbox so many seconds after each boot. */
  maxDuration(secs: number): this {
    this.#set.maxDuration(secs);
    return this;
  }

  /** Stops the sandbox when no command ran and nothing was asked of it for so many seconds. */
  idleTimeout(secs: number): this {
    this.#set.idleTimeout(secs);
    return this;
  }

  /** The guest kernel's policy for transparent huge pages; by default `madvise`. */
  thp(mode: ThpMode): this {
    this.#set.thp(mode);
    return this;
  }

  /** Gives the guest no network interface. */
  disableNetwork(): this {
    this.draft.attempt((fields) => (fields.disableNetwork = true));
    return this;
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

  /** Ends a creation before its VM starts: `create()` then fails with the signal's reason, and nothing is left of it. */
  signal(signal: AbortSignal): this {
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

  /**
   * Creates the sandbox and boots it. This process owns it: when the process ends, so does the sandbox.
   *
   * @throws InvalidConfigError, UnsupportedOperationError, SandboxAlreadyExistsError; ImageError and HttpError when the image
   * cannot be had; BootStartError, QemuNotFoundError, LibkrunfwNotFoundError, IoError
   */
  async create(): Promise<Sandbox> {
    const config = this.build();
    return await createSandbox(config, this.draft.unsupported, !config.detached, this.#observer());
  }

  /** Creates the sandbox and boots it. It goes on after this process ends. @throws as {@link create} */
  async createDetached(): Promise<Sandbox> {
    return await createSandbox(this.build(), this.draft.unsupported, false, this.#observer());
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
  async createWithPullProgress(): Promise<PullProgressCreate> {
    const config = this.build();
    return await createWithPullProgress(config, this.draft.unsupported, !config.detached, this.#observer());
  }

  /** Like {@link createDetached}, otherwise as {@link createWithPullProgress}. */
  async createDetachedWithPullProgress(): Promise<PullProgressCreate> {
    return await createWithPullProgress(this.build(), this.draft.unsupported, false, this.#observer());
  }

  /**
   * Connects to the sandbox of this name, started if need be, and ignores this builder's settings; creates it when there
   * is none.
   *
   * @throws as {@link create}
   */
  async connectOrCreate(): Promise<Sandbox> {
    const config = this.build();
    return await connectOrCreate(config, () => this.create(), this.#observer());
  }

  #observer(): CreateObserver {
    return {
      onProgress: this.#onProgress,
      onNotice: this.#onNotice,
      onStarted: this.#onStarted,
      onPullProgress: this.#onPullProgress,
      signal: this.#signal,
    };
  }
}
