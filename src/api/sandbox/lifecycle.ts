import { checkLogOptions, logReadOptions, type LogEntry, type LogReadOptions } from "../logs/log-entry.ts";
import { LogStream, logStreamOptions, type LogStreamOptions } from "../logs/log-stream.ts";
import { readLogs } from "../logs/read-logs.ts";
import type { SandboxMetrics } from "../metrics/metrics.ts";
import {
  defaultGraceMs,
  killWaitMs,
  type SandboxPingResult,
  type SandboxTouchResult,
} from "../control/sandbox-control.ts";
import type { SandboxStopResult } from "../control/stop-result.ts";
import { iterated } from "../../host/iterated.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
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
import { NetworkedSandbox } from "../network/networked-sandbox.ts";
import { checkDestroyOptions, destroySandbox, type DestroyOptions } from "./start.ts";

/**
 * What can be done to a sandbox by whoever knows it: what {@link Sandbox} and {@link SandboxHandle} have in common.
 *
 * Everything that waits takes `{ signal, timeoutMs }` as its last argument: they end the waiting, with the signal's reason or an
 * OperationTimeoutError. What was asked for by then, such as a stop, goes on.
 */
export class SandboxLifecycle extends NetworkedSandbox {
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
