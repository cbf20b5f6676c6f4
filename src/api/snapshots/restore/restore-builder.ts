import { checkFlag, checkOneOf } from "../../../config/checks.ts";
import type { LogLevel } from "../../../config/enums.ts";
import type { EnvInput } from "../../../config/env.ts";
import { checkString } from "../../../config/guest-text.ts";
import type { PortOptions } from "../../../config/network/builders/network-builder.ts";
import type { NetworkPolicy } from "../../../config/network/policy/network-policy.ts";
import type { PairsInput } from "../../../config/pairs.ts";
import type { Mebibytes } from "../../../config/sizes.ts";
import { InvalidConfigError, UnsupportedOperationError } from "../../../errors/index.ts";
import type { WaitOptions } from "../../../host/operation.ts";
import { SandboxBuilder } from "../../config/sandbox-builder.ts";
import { loopback } from "../../../config/network/ports.ts";
import type { SecretsInput } from "../../providers/given-secrets.ts";
import type { PullProgressCreate } from "../../sandbox/pull-progress-create.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";

/**
 * Says how a sandbox is to begin with a snapshot, then makes it. One with memory goes on where the captured one was, with a name, a machine
 * id and random numbers of its own; its settings are those of the captured one, but for what is said here. Setters never throw: what is
 * wrong is thrown by `restore()`, and what cannot be honoured is refused there.
 *
 * @example
 * ```ts
 * import { Sandbox, Snapshot } from "microsandbox";
 *
 * await using source = await Sandbox.builder("restore-source").image("localhost/base").replace().create();
 * await source.shell("echo kept > /dev/shm/note");
 * const snapshot = await Snapshot.builder("with-memory").fromSandbox(source).full().force().create();
 * const copy = await Sandbox.restore("with-memory").name("restore-copy").replace().restore();
 * console.log((await copy.shell("cat /dev/shm/note")).stdout()); // prints kept
 * await copy.destroy();
 * await Snapshot.remove(snapshot.path);
 * ```
 */
export class RestoreBuilder {
  readonly #snapshot: string;
  readonly #said: ((builder: SandboxBuilder) => unknown)[] = [];
  readonly #refused = new Set<string>();
  #name: string | null = null;
  #secrets: SecretsInput | undefined;
  #diskOnly = false;
  #mistake: { readonly error: unknown } | null = null;

  /** @param snapshot its name, path (with a slash) or digest, or itself */
  constructor(snapshot: string | { readonly path: string }) {
    this.#snapshot = "";
    try {
      const reference: unknown =
        typeof snapshot === "object" ? Reflect.get(Object(snapshot) as object, "path") : snapshot;
      this.#snapshot = checkString("the snapshot", reference);
    } catch (error) {
      this.#mistake = { error };
    }
  }

  /** Of the new sandbox. Required. */
  name(name: string): this {
    return this.#attempt(() => {
      this.#name = checkString("the name of the sandbox", name);
    });
  }

  /** Virtual CPUs: as many as the captured sandbox had, unless it boots. */
  cpus(count: number): this {
    return this.#say((builder) => builder.cpus(count));
  }

  /** Memory in MiB: as much as the captured sandbox had, unless it boots. */
  memory(mib: number | Mebibytes): this {
    return this.#say((builder) => builder.memory(mib));
  }

  /** Publishes a TCP port of the guest at 127.0.0.1 of the host. Those of the captured sandbox are not published again by themselves. */
  port(host: number, guest: number, options: PortOptions = {}): this {
    return this.portBind(loopback, host, guest, options);
  }

  /** The same for UDP. */
  portUdp(host: number, guest: number): this {
    return this.portUdpBind(loopback, host, guest);
  }

  /** Publishes a TCP port of the guest at an IP address of the host. */
  portBind(bind: string, host: number, guest: number, options: PortOptions = {}): this {
    return this.#say((builder) => builder.portBind(bind, host, guest, options));
  }

  /** The same for UDP. */
  portUdpBind(bind: string, host: number, guest: number): this {
    return this.#say((builder) => builder.portUdpBind(bind, host, guest));
  }

  /** What it may reach, instead of what the captured one might. */
  networkPolicy(policy: NetworkPolicy): this {
    return this.#say((builder) => builder.network((network) => network.policy(policy)));
  }

  /** No network interface: only for one that boots, or whose source had none. */
  disableNetwork(): this {
    return this.#say((builder) => builder.disableNetwork());
  }

  /** Stops it so many seconds after it goes on, and after each boot. */
  maxDuration(secs: number): this {
    return this.#say((builder) => builder.maxDuration(secs));
  }

  /** Stops it when for so many seconds no command ran and nobody called `touch()`. */
  idleTimeout(secs: number): this {
    return this.#say((builder) => builder.idleTimeout(secs));
  }

  /** The user of commands: `name`, `uid`, `user:group` or `uid:gid`. */
  user(spec: string): this {
    return this.#say((builder) => builder.user(spec));
  }

  /** One environment variable of every command from now on, over those of the captured sandbox. */
  env(key: string, value: string): this {
    return this.#say((builder) => builder.env(key, value));
  }

  /** The same for several. */
  envs(values: EnvInput): this {
    return this.#say((builder) => builder.envs(values));
  }

  /** A label, over those of the captured sandbox. */
  label(key: string, value: string): this {
    return this.#say((builder) => builder.label(key, value));
  }

  /** The same for several. */
  labels(values: PairsInput): this {
    return this.#say((builder) => builder.labels(values));
  }

  /** The least important events that go to runtime.log. */
  logLevel(level: LogLevel): this {
    return this.#say((builder) => builder.logLevel(level));
  }

  /** Stops and removes a sandbox of the same name first. */
  replace(): this {
    return this.#say((builder) => builder.replace());
  }

  /**
   * The values of the captured sandbox's secrets, by their variables in the guest: all of them, for a snapshot has none. They are stored
   * with the new sandbox.
   */
  secrets(values: Readonly<Record<string, string>>): this {
    this.#secrets = { ...this.#secrets, ...values };
    return this;
  }

  /** Boots afresh from the disk of a snapshot, and leaves its memory out. */
  diskOnly(enabled = true): this {
    return this.#attempt(() => {
      this.#diskOnly = checkFlag("diskOnly", enabled);
    });
  }

  /** Not possible: there are no snapshots with something of the host in them. `restore()` fails with UnsupportedOperationError. */
  volume(..._mount: readonly unknown[]): this {
    this.#refused.add("volume");
    return this;
  }

  /** Not possible, as {@link volume}: nothing of a snapshot can be missing. */
  allowMissingResources(enabled = true): this {
    if (enabled) this.#refused.add("allowMissingResources");
    return this;
  }

  /** `strict`, as it always is; `relaxed` is not possible, as {@link volume}. */
  externalMountPolicy(policy: "strict" | "relaxed"): this {
    return this.#attempt(() => {
      if (checkOneOf("externalMountPolicy", policy, ["strict", "relaxed"]) === "relaxed")
        this.#refused.add('externalMountPolicy("relaxed")');
    });
  }

  /**
   * Makes the sandbox, which goes on after this process.
   *
   * @returns it, running
   * @throws SnapshotNotFoundError; SnapshotIncompatibleError when its memory cannot be used on this host; SnapshotIntegrityError, JsonError
   *   when it is damaged; SnapshotImageMissingError; UnsupportedOperationError for what cannot be another; InvalidConfigError, also for a
   *   secret without a value; SandboxAlreadyExistsError; BootStartError, IoError. Nothing is left of it then
   */
  async restore(options: WaitOptions = {}): Promise<Sandbox> {
    return await this.#builder().createDetached(options);
  }

  /** Like {@link restore}, and tells how the pull of the image goes on, where it is missing. */
  async restoreWithProgress(options: WaitOptions = {}): Promise<PullProgressCreate> {
    return await this.#builder().createDetachedWithPullProgress(options);
  }

  #builder(): SandboxBuilder {
    if (this.#mistake !== null) throw this.#mistake.error;
    const [refused] = this.#refused;
    if (refused !== undefined) {
      throw new UnsupportedOperationError(`a sandbox cannot be restored with ${refused}`, {
        hint: "Nothing of the host is in a snapshot. To mount something, boot: Sandbox.builder(name).fromSnapshot(…) of one without memory.",
      });
    }
    if (this.#name === null)
      throw new InvalidConfigError("the sandbox that is to be restored has no name", {
        hint: 'Give it one: Sandbox.restore(snapshot).name("again").',
      });
    const restoring = { diskOnly: this.#diskOnly, secrets: this.#secrets };
    const builder = new SandboxBuilder(this.#name, restoring).fromSnapshot(this.#snapshot);
    for (const say of this.#said) say(builder);
    return builder;
  }

  #say(say: (builder: SandboxBuilder) => unknown): this {
    this.#said.push(say);
    return this;
  }

  #attempt(work: () => void): this {
    try {
      work();
    } catch (error) {
      this.#mistake ??= { error };
    }
    return this;
  }
}
