import { checkLogOptions, logReadOptions, type LogEntry, type LogReadOptions } from "../logs/log-entry.ts";
import { LogStream, logStreamOptions, type LogStreamOptions } from "../logs/log-stream.ts";
import { readLogs } from "../logs/read-logs.ts";
import type { SandboxMetrics } from "../metrics/metrics.ts";
import { defaultGraceMs, killWaitMs } from "../control/control-limits.ts";
import {
  pauseOptions,
  type PauseOptions,
  type SandboxPingResult,
  type SandboxTouchResult,
} from "../control/sandbox-control.ts";
import type { SandboxStopResult } from "../control/stop-result.ts";
import { isTerminal } from "../../config/enums.ts";
import { iterated } from "../../host/iterated.ts";
import { checkCallOptions } from "../../host/call-options.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import { CheckpointedSandbox } from "../checkpoints/checkpointed-sandbox.ts";
import { forkNames, forkOptions, type ForkOptions, type ForkResult } from "../fork/fork-options.ts";
import type { GuestPath } from "../fs/guest-path.ts";
import { selectionOptions, type SandboxChange } from "../overlay/chosen-changes.ts";
import {
  applyChanges,
  applyOptions,
  discardChanges,
  readChanges,
  type ApplyChangesOptions,
  type ApplyProgress,
  type DiscardChangesOptions,
} from "../overlay/sandbox-changes.ts";
import type { Snapshot } from "../snapshots/snapshot.ts";
import { takeSnapshot } from "../snapshots/take-snapshot.ts";
import type { SandboxStorageUsage } from "../storage/storage-types.ts";
import { checkDestroyOptions, destroySandbox, type DestroyOptions, type StartedSandbox } from "./start.ts";

/**
 * What can be done to a sandbox by whoever knows it: what {@link Sandbox} and {@link SandboxHandle} have in common.
 *
 * Everything that waits takes `{ signal, timeoutMs }` as its last argument: they end the waiting, with the signal's reason or an
 * OperationTimeoutError. What was asked for by then, such as a stop, goes on.
 */
export abstract class SandboxLifecycle<Sandbox> extends CheckpointedSandbox {
  /** A sandbox that was started, which does not end with this process. */
  protected abstract childOf(started: StartedSandbox): Sandbox;

  /** Where it runs: on this computer. */
  get backendKind(): "local" {
    return "local";
  }

  /** Stops the sandbox in order: SIGTERM to its processes, file systems flushed. After 10 s it is killed. */
  async stop(options: WaitOptions = {}): Promise<void> {
    await this.control.run("stop sandbox", options, (operation) =>
      this.control.stop(operation, defaultGraceMs),
    );
  }

  /** Like {@link stop} with another grace, ms; 0 kills at once. The grace is the sandbox's, `timeoutMs` the caller's. */
  async stopWithTimeout(ms: number, options: WaitOptions = {}): Promise<void> {
    await this.control.run("stop sandbox", options, (operation) => this.control.stop(operation, ms));
  }

  /** Asks for the stop and returns. */
  async requestStop(options: WaitOptions = {}): Promise<void> {
    await this.control.run("ask for the stop of sandbox", options, (operation) =>
      this.control.requestStop(operation, defaultGraceMs),
    );
  }

  /** Ends the VM at once. What its programs had not flushed is lost. */
  async kill(options: WaitOptions = {}): Promise<void> {
    await this.control.run("kill sandbox", options, (operation) => this.control.kill(operation, killWaitMs));
  }

  /** Like {@link kill}. What has not ended after so many ms, at least 5000, is killed together with its own process. */
  async killWithTimeout(ms: number, options: WaitOptions = {}): Promise<void> {
    await this.control.run("kill sandbox", options, (operation) => this.control.kill(operation, ms));
  }

  /** Asks for the kill and returns. */
  async requestKill(options: WaitOptions = {}): Promise<void> {
    await this.control.run("ask for the kill of sandbox", options, (operation) =>
      this.control.requestKill(operation),
    );
  }

  /**
   * Holds the guest: its memory stays, its processors stand still and take no time of the host's. Its connections to the outside live on for
   * as long as their other ends are patient. Of one that is paused already it changes what becomes of calls.
   *
   * @throws SandboxNotRunningError; RuntimeError when it is paused already and is to flush
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("pause-example").image("localhost/base").replace().create();
   * await sandbox.shell("sleep 1000 & echo $! > /tmp/pid");
   * await sandbox.pause();
   * console.log((await Sandbox.get("pause-example")).status); // prints paused
   * await sandbox.resume();
   * const found = await sandbox.shell("kill -0 $(cat /tmp/pid) && echo still there");
   * console.log(found.stdout()); // prints still there
   * ```
   */
  async pause(options: PauseOptions & WaitOptions = {}): Promise<void> {
    await this.control.run(
      "pause sandbox",
      options,
      (operation) => this.control.pause(operation, options),
      pauseOptions,
    );
  }

  /** Lets a paused guest go on, with the time of now. Does nothing to one that runs. @throws SandboxNotRunningError */
  async resume(options: WaitOptions = {}): Promise<void> {
    await this.control.run("resume sandbox", options, (operation) => this.control.resume(operation));
  }

  /**
   * Writes the guest's memory to the host's disk and ends its machine. The next start goes on where it was: its programs do not know, but for
   * their connections to the outside, which are gone. Output of commands that ran goes to the log from then on.
   *
   * @throws UnsupportedOperationError with files of the host in the guest; SandboxNotRunningError; RuntimeError, IoError: it goes on then
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * const sandbox = await Sandbox.builder("suspend-example").image("localhost/base").replace().createDetached();
   * await sandbox.shell("sleep 1000 & echo $! > /tmp/pid");
   * await sandbox.suspend();
   * const again = await Sandbox.start("suspend-example");
   * const found = await again.shell("kill -0 $(cat /tmp/pid) && echo still there");
   * console.log(found.stdout()); // prints still there
   * await again.destroy();
   * ```
   */
  async suspend(options: WaitOptions = {}): Promise<void> {
    await this.control.run("suspend sandbox", options, (operation) => this.control.suspend(operation));
  }

  /**
   * Copies the running sandbox: the child has its memory, its programs, which go on where they were, and its disk, and a name, a host name, a
   * machine id and random numbers of its own. This one goes on as it was, paused or not. The child goes on after this process.
   *
   * Nobody holds the commands of the child, whose output goes to its log. What was connected to the outside goes on here, and is gone in the
   * child. Ports are not published in the child unless they are given. Its programs find `/.msb/fork.json`.
   *
   * @returns the child, which runs
   * @throws SandboxAlreadyExistsError, InvalidConfigError, SandboxNotRunningError; UnsupportedOperationError with files of the host or a disk
   *   of others in the guest; RuntimeError, IoError. Nothing is left of the child then
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("fork-example").image("localhost/base").replace().create();
   * await sandbox.shell("echo before > /dev/shm/note");
   * const [child] = await sandbox.fork({ count: 1 });
   * if (!(child instanceof Sandbox)) throw child;
   * console.log((await child.shell("cat /dev/shm/note")).stdout()); // prints before
   * await child.destroy();
   * ```
   */
  async fork(name: string, options?: ForkOptions & WaitOptions): Promise<Sandbox>;
  /**
   * Several children of one copy, with names that are made for them. One that fails takes no other with it.
   *
   * @param options.count how many, 1 to 1000
   * @returns for each a sandbox that runs, or its error
   */
  async fork(options: ForkOptions & WaitOptions & { readonly count: number }): Promise<(Sandbox | Error)[]>;
  async fork(
    given: string | (ForkOptions & WaitOptions & { readonly count: number }),
    options: ForkOptions & WaitOptions = {},
  ): Promise<Sandbox | (Sandbox | Error)[]> {
    if (typeof given === "string") {
      const [child] = await this.forkMany([given], options);
      if (child?.error === undefined) return child?.sandbox as Sandbox;
      throw child.error;
    }
    checkCallOptions("fork sandbox", given, { ...forkOptions, count: "any" });
    const { count, ...others } = given;
    const children = await this.forkMany(forkNames(this.control.name, count), others);
    return children.map((child) => child.error ?? child.sandbox);
  }

  /**
   * Several children of one copy, which start a few at a time.
   *
   * @returns for each name, in their order, the child or its error: one that fails takes no other with it
   * @throws as {@link fork}, for what is wrong with all of them
   */
  async forkMany(
    names: readonly string[],
    options: ForkOptions & WaitOptions = {},
  ): Promise<ForkResult<Sandbox>[]> {
    const fork = async (operation: Operation): Promise<ForkResult<Sandbox>[]> => {
      const { forkSandbox } = await import("../fork/fork.ts");
      const children = await forkSandbox(this.control, names, options, operation);
      return children.map((child) =>
        child.error === undefined ? { name: child.name, sandbox: this.childOf(child.sandbox) } : child,
      );
    };
    return await this.control.run("fork sandbox", options, fork, forkOptions);
  }

  /** The same as {@link fork} with a name. */
  async branch(name: string, options: ForkOptions & WaitOptions = {}): Promise<Sandbox> {
    return await this.fork(name, options);
  }

  /** The same as {@link forkMany}. */
  async branchMany(
    names: readonly string[],
    options: ForkOptions & WaitOptions = {},
  ): Promise<ForkResult<Sandbox>[]> {
    return await this.forkMany(names, options);
  }

  /**
   * Captures the disk of this sandbox. One that runs writes all to it before, and its programs that write wait until it is copied.
   *
   * @param name of the snapshot
   * @throws as `SnapshotBuilder.create`
   */
  async snapshot(name: string, options: WaitOptions = {}): Promise<Snapshot> {
    return await takeSnapshot(this.control, (builder) => builder.name(name), options);
  }

  /** The same, to a directory that is named by its path. @throws as `SnapshotBuilder.create` */
  async snapshotTo(path: string, options: WaitOptions = {}): Promise<Snapshot> {
    return await takeSnapshot(this.control, (builder) => builder.path(path), options);
  }

  /** Refuses new commands from now on; the sandbox stops when the last one has ended. Returns when that is arranged. */
  async requestDrain(options: WaitOptions = {}): Promise<void> {
    await this.control.run("drain sandbox", options, (operation) => this.control.requestDrain(operation));
  }

  /** Waits until the sandbox has ended and tells how. */
  async waitUntilStopped(options: WaitOptions = {}): Promise<SandboxStopResult> {
    return await this.control.run("wait for the end of sandbox", options, (operation) =>
      this.control.waitUntilStopped(operation),
    );
  }

  /** Stops the sandbox if it runs and removes it. `timeoutMs` is the grace of the stop; `signal` ends the waiting. */
  async destroy(options: DestroyOptions = {}): Promise<void> {
    checkDestroyOptions(options);
    await this.control.run("destroy sandbox", { signal: options.signal }, (operation) =>
      destroySandbox(operation, this.control, options),
    );
  }

  /** Asks the guest for a sign of life. Does not count as activity. @throws SandboxNotRunningError */
  async ping(options: WaitOptions = {}): Promise<SandboxPingResult> {
    return await this.control.run("ping sandbox", options, (operation) => this.control.ping(operation));
  }

  /** Counts as activity: restarts the idle timeout. @throws SandboxNotRunningError */
  async touch(options: WaitOptions = {}): Promise<SandboxTouchResult> {
    return await this.control.run("touch sandbox", options, (operation) => this.control.touch(operation));
  }

  /** What the sandbox uses now. @throws SandboxNotRunningError, MetricsDisabledError */
  async metrics(options: WaitOptions = {}): Promise<SandboxMetrics> {
    return await this.control.run("read the metrics of sandbox", options, (operation) =>
      this.control.metrics(operation),
    );
  }

  /**
   * What the sandbox takes on the host's disk, running or not, in blocks that are there: its `ownBytes`, which are free when it is removed,
   * and `sharedBytes` of files that have a name elsewhere too (hard links) or that others may have mapped. `parts` are the same by what it is
   * for: `disk` is what the guest has written over its image, `memory` that of a suspended one and that which a fork goes on with, which is
   * shared with its siblings, `checkpoints` their memory and disks, `logs`, and `other`: settings, and files of mounts with `overlay()`.
   *
   * A file that several parts have counts in the first. Blocks that files share without being one file (reflinks) cannot be seen: they count
   * as own. Images, templates, volumes and disks that lie elsewhere are not the sandbox's: see `Storage.usage`.
   *
   * @throws SandboxNotFoundError, IoError
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("usage-example").image("localhost/base").replace().create();
   * await sandbox.shell("dd if=/dev/urandom of=/root/file bs=1M count=8; sync");
   * const { ownBytes, parts } = await sandbox.storageUsage();
   * console.log(parts.disk.ownBytes > 8 << 20, ownBytes >= parts.disk.ownBytes); // prints true true
   * ```
   */
  async storageUsage(options: WaitOptions = {}): Promise<SandboxStorageUsage> {
    return await this.control.run("look at the storage of sandbox", options, async (operation) => {
      const { sandboxUsage } = await import("../../store/usage/sandbox-usage.ts");
      const { paths, state, status } = await operation.wait(this.control.find());
      const supervisor = isTerminal(status) ? null : (state.supervisor?.pid ?? null);
      return await sandboxUsage(this.control.home, paths.directory, supervisor, operation.signal);
    });
  }

  /**
   * What the guest has added, changed and deleted in a directory of the host's that is mounted with `overlay()`, whether it runs or not:
   * depth first, by name, each as it is found. What lies in a deleted directory is no change of its own. What a program of the guest has
   * written to memory that is mapped shows when it has synced it.
   *
   * @param guestPath of the mount, or of something in it
   * @throws InvalidConfigError for a path in no such mount, and when the directory has gone; SandboxNotFoundError; IoError
   *
   * @example
   * ```ts
   * import { mkdtemp, readFile, writeFile } from "node:fs/promises";
   * import { Sandbox } from "microsandbox";
   *
   * const directory = await mkdtemp("/tmp/changes-example-");
   * await writeFile(`${directory}/notes.txt`, "one\n");
   * await using sandbox = await Sandbox.builder("changes-example")
   *   .image("localhost/base")
   *   .volume("/work", (m) => m.bind(directory).overlay())
   *   .replace()
   *   .create();
   * await sandbox.shell("echo two >> /work/notes.txt; touch /work/new");
   * for await (const { kind, path } of sandbox.changes("/work")) console.log(kind, path); // added new, changed notes.txt
   * await sandbox.applyChanges("/work", { paths: ["notes.txt"] });
   * console.log(await readFile(`${directory}/notes.txt`, "utf8")); // one and two
   * ```
   */
  async *changes(
    guestPath: GuestPath,
    options: WaitOptions = {},
  ): AsyncGenerator<SandboxChange, void, undefined> {
    yield* iterated<Operation, SandboxChange>(
      (iterate) => this.control.run("look for changes of sandbox", options, iterate),
      (operation) => readChanges(this.control, guestPath, operation),
    );
  }

  /**
   * Writes what {@link changes} lists to the host, or what is chosen of it: each file whole or not at all, nothing outside of the
   * directory, modes but no owners. What is written is no change any more; the guest sees the same as before.
   *
   * @param guestPath of the mount, or of something in it
   * @returns what was written; with `dryRun`, what would be
   * @throws ChangesConflictError before anything is written, when the host has changed the same; PartialCopyError when all but some of it
   *   was written, such as devices; InvalidConfigError as {@link changes}, and for a path with no change; IoError
   */
  async applyChanges(guestPath: GuestPath, options: ApplyChangesOptions = {}): Promise<ApplyProgress> {
    const apply = (operation: Operation): Promise<ApplyProgress> =>
      applyChanges(this.control, guestPath, options, operation);
    return await this.control.run("apply changes of sandbox", options, apply, applyOptions);
  }

  /**
   * Drops what {@link changes} lists, or what is chosen of it: the guest sees the host's files again when it starts. A directory goes with
   * all that is in it.
   *
   * @param guestPath of the mount, or of something in it
   * @returns how many changes were dropped
   * @throws SandboxStillRunningError while it runs; InvalidConfigError as {@link applyChanges}; IoError
   */
  async discardChanges(guestPath: GuestPath, options: DiscardChangesOptions = {}): Promise<number> {
    const discard = (operation: Operation): Promise<number> =>
      discardChanges(this.control, guestPath, options, operation);
    return await this.control.run("discard changes of sandbox", options, discard, selectionOptions);
  }

  /** What its commands have printed, from all runs that are still logged. */
  async logs(options: LogReadOptions & WaitOptions = {}): Promise<LogEntry[]> {
    const read = (operation: Operation): Promise<LogEntry[]> => {
      checkLogOptions(options);
      return operation.wait(this.control.find().then(({ paths }) => readLogs(paths, options)));
    };
    return await this.control.run("read the logs of sandbox", options, read, logReadOptions);
  }

  /** What its commands print, entry by entry. */
  async logStream(options: LogStreamOptions & WaitOptions = {}): Promise<LogStream> {
    const open = (operation: Operation): Promise<LogStream> =>
      LogStream.open(this.control, options, operation);
    return await this.control.run("open the logs of sandbox", options, open, logStreamOptions);
  }
}
