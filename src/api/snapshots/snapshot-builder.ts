import { checkFlag, checkOneOf } from "../../config/checks.ts";
import { GuestFlushes, type GuestFlush } from "../../config/enums.ts";
import { checkString } from "../../config/guest-text.ts";
import { labelsType, type Labels } from "../../config/labels.ts";
import { checkSnapshotConfig, type SnapshotConfig } from "../../config/snapshots/snapshot-config.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type { WaitOptions } from "../../host/operation.ts";
import { makeSnapshot } from "./make-snapshot.ts";
import type { SaveOpts } from "./save-to.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Says what a snapshot is to be, then takes it. What is wrong is thrown by `build()` and `create()`.
 *
 * There are two ways to say which: `Snapshot.builder("snapshot").fromSandbox("sandbox")`, and
 * `Snapshot.builder("sandbox").name("snapshot")`.
 *
 * @example
 * ```ts
 * import { Sandbox, Snapshot } from "microsandbox";
 *
 * const sandbox = await Sandbox.builder("captured").image("localhost/base").replace().create();
 * await sandbox.shell("echo kept > /root/file");
 * await sandbox.stop();
 * const snapshot = await Snapshot.builder("captured-disk").fromSandbox("captured").force().create();
 * await Sandbox.remove("captured");
 * await using copy = await Sandbox.builder("copy").fromSnapshot("captured-disk").replace().create();
 * console.log((await copy.shell("cat /root/file")).stdout()); // prints kept
 * await Snapshot.remove(snapshot.path);
 * ```
 */
export class SnapshotBuilder {
  readonly #subject: string | null;
  #fromSandbox: string | null = null;
  #name: string | null = null;
  #group: string | null = null;
  #path: string | null = null;
  #destDir: string | null = null;
  #labels: Labels = {};
  #force = false;
  #recordIntegrity = false;
  #resumable = false;
  #guestFlush: GuestFlush = "auto";
  #mistake: { readonly error: unknown } | null = null;

  /** @param subject the name of the snapshot when `fromSandbox()` is called, else that of the sandbox */
  constructor(subject?: string) {
    this.#subject = subject ?? null;
  }

  /** The sandbox whose disk is captured: its name, or itself. It may run, be paused, stopped or crashed. */
  fromSandbox(sandbox: string | { readonly name: string }): this {
    return this.#attempt(() => {
      const name: unknown =
        typeof sandbox === "object" ? Reflect.get(Object(sandbox) as object, "name") : sandbox;
      this.#fromSandbox = checkString("fromSandbox", name);
    });
  }

  /** Its name: 1 to 128 bytes of letters, digits, `.`, `_`, `-`, beginning with a letter or a digit. */
  name(name: string): this {
    return this.#attempt(() => {
      this.#name = checkString("the name of the snapshot", name);
    });
  }

  /** The group that it is one of, by whose name the newest is found; that of the snapshots of its sandbox when it is not said. */
  group(name: string): this {
    return this.#attempt(() => {
      this.#group = checkString("the group of the snapshot", name);
    });
  }

  /** The snapshot's directory itself, instead of a name among those of the home. */
  path(path: string): this {
    return this.#attempt(() => {
      this.#path = checkString("the path of the snapshot", path);
    });
  }

  /** The directory in which the snapshot's is made, by its name; made where it is missing. */
  destDir(directory: string): this {
    return this.#attempt(() => {
      this.#destDir = checkString("destDir", directory);
    });
  }

  /** Adds a label. Keys with `sandbox.`, `microsandbox.` and `service.` are reserved. */
  label(key: string, value: string): this {
    return this.#attempt(() => {
      this.#labels = { ...this.#labels, ...labelsType.check("labels", [[key, value]]) };
    });
  }

  /** Replaces a snapshot that is there already. */
  force(enabled = true): this {
    return this.#attempt(() => {
      this.#force = checkFlag("force", enabled);
    });
  }

  /** Hashes the disk, so that `verify()` can tell whether it is still the same. Takes as long as reading it. */
  recordIntegrity(enabled = true): this {
    return this.#attempt(() => {
      this.#recordIntegrity = checkFlag("recordIntegrity", enabled);
    });
  }

  /**
   * What a guest that runs does before: with `auto`, the default, and `required` it writes all to the disk that its programs have written,
   * and holds their writes until the disk is copied. With `skip` its processors are held meanwhile, and the disk is as after a loss of
   * power. A paused or stopped sandbox's disk is taken as it is; `required` fails then.
   */
  guestFlush(flush: GuestFlush): this {
    return this.#attempt(() => {
      this.#guestFlush = checkOneOf("guestFlush", flush, GuestFlushes);
    });
  }

  /**
   * Captures the memory of the sandbox too, which has to run or be paused, and goes on as it was: sandboxes that begin with the snapshot
   * go on where it was. Refused for one with files or disks of the host in it.
   */
  full(enabled = true): this {
    return this.resumable(enabled);
  }

  /** The same as {@link full}. */
  resumable(enabled = true): this {
    return this.#attempt(() => {
      this.#resumable = checkFlag("resumable", enabled);
    });
  }

  /** The configuration, checked and frozen. Has no side effects. @throws InvalidConfigError */
  build(): SnapshotConfig {
    if (this.#mistake !== null) throw this.#mistake.error;
    if (this.#subject !== null && typeof this.#subject !== "string")
      throw new InvalidConfigError("what Snapshot.builder() is given is not text");
    return checkSnapshotConfig({
      subject: this.#subject,
      fromSandbox: this.#fromSandbox,
      name: this.#name,
      group: this.#group,
      path: this.#path,
      destDir: this.#destDir,
      labels: this.#labels,
      force: this.#force,
      recordIntegrity: this.#recordIntegrity,
      resumable: this.#resumable,
      guestFlush: this.#guestFlush,
    });
  }

  /**
   * Takes the snapshot. A sandbox that does not run cannot be started meanwhile; in one that runs, programs that write wait until its
   * disk is copied.
   *
   * @throws InvalidConfigError, also for a sandbox with another root than an image and a managed disk; SandboxNotFoundError;
   *   SnapshotSandboxRunningError for one that starts or ends at this moment, SandboxNotRunningError when it ends meanwhile;
   *   SnapshotAlreadyExistsError; UnsupportedOperationError when nothing can be flushed as `required`; RuntimeError when its guest does not
   *   freeze its disk, or has not kept it so; with `full()` SandboxNotRunningError for one
   *   that does not run, UnsupportedOperationError for one that has what cannot be captured with its memory; IoError. Nothing is left then
   */
  async create(options: WaitOptions = {}): Promise<Snapshot> {
    return await makeSnapshot(this.build(), null, options);
  }

  /**
   * Takes the snapshot into a file, and leaves none here: what `create()` and `saveTo()` do. It is put together among the snapshots of
   * the home, which need the room meanwhile.
   *
   * @param output the archive, as of {@link Snapshot.saveTo}: it appears when it is complete, and replaces a file that is there
   * @param options what else goes into it
   * @throws what {@link create} and {@link Snapshot.saveTo} throw; InvalidConfigError with `path` or `destDir`
   *
   * @example
   * ```ts
   * import { Sandbox, Snapshot } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("archive-example").image("localhost/base").replace().create();
   * await Snapshot.builder("tried").fromSandbox("archive-example").createArchive("tried.tar.zst");
   * const loaded = await Snapshot.load("tried.tar.zst");
   * console.log(loaded.name); // prints tried
   * await Snapshot.remove("tried");
   * ```
   */
  async createArchive(output: string, options: SaveOpts & WaitOptions = {}): Promise<void> {
    const config = this.build();
    const { createArchive } = await import("./create-archive.ts");
    await createArchive(config, output, options);
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
