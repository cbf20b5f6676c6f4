import type { SandboxStatus } from "../../config/enums.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { untilLeft } from "../../host/until-left.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { sandboxPaths, type SandboxPaths } from "../../store/sandboxes.ts";
import type { LogSource } from "../../store/log-format.ts";
import { readExecLog } from "./exec-log-reader.ts";
import {
  chosenSources,
  checkLogOptions,
  decodeLogCursor,
  isChosen,
  logReadOptions,
  type LogEntry,
  type LogPlace,
  type LogReadOptions,
} from "./log-entry.ts";
import { LogChanges } from "./log-changes.ts";
import { readFrom } from "./read-logs.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { isTerminal } from "../../config/enums.ts";
import { logBeginning, placeAt, readNewLines, type TextLogPosition } from "./system-log-reader.ts";

export interface LogStreamOptions extends Omit<LogReadOptions, "tail"> {
  /** Go on strictly after the entry with this cursor. Not together with `since`. */
  readonly fromCursor?: string;
  /** Wait for more until the sandbox ends; by default the stream ends with what is there. */
  readonly follow?: boolean;
}

const { tail: _, ...readOptions } = logReadOptions;
export const logStreamOptions = { ...readOptions, fromCursor: "any", follow: "boolean" } as const;

/**
 * Entries of a sandbox's log, one by one.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("logs-example").image("localhost/base").replace().create();
 * await sandbox.shell("echo logged");
 * await using stream = await sandbox.logStream();
 * for await (const entry of stream) console.log(entry.source, entry.text());
 * ```
 */
export class LogStream implements AsyncIterable<LogEntry>, AsyncDisposable {
  readonly #control: SandboxControl;
  readonly #paths: SandboxPaths;
  readonly #options: LogStreamOptions;
  readonly #sources: ReadonlySet<LogSource>;
  readonly #changes: LogChanges | null;
  readonly #queue: LogEntry[] = [];
  readonly #marks: boolean;
  readonly #begin: LogPlace | null;
  /** Where to go on in exec.log. */
  #position = 0;
  #runtime: TextLogPosition = logBeginning;
  #kernel: TextLogPosition = logBeginning;
  #over = false;

  private constructor(control: SandboxControl, options: LogStreamOptions, marks: boolean) {
    this.#marks = marks;
    this.#control = control;
    this.#paths = sandboxPaths(control.home, control.name);
    this.#options = options;
    this.#sources = chosenSources(options.sources);
    this.#begin = options.fromCursor === undefined ? null : decodeLogCursor(options.fromCursor);
    this.#changes =
      options.follow === true ? new LogChanges(control, [this.#paths.logs, this.#paths.directory]) : null;
  }

  /** @internal @param marks as in {@link readLogs} */
  static async open(
    control: SandboxControl,
    options: LogStreamOptions,
    operation: Operation,
    marks = false,
  ): Promise<LogStream> {
    checkLogOptions(options);
    if (options.fromCursor !== undefined && options.since !== undefined) {
      throw new InvalidConfigError("fromCursor and since exclude each other", { hint: "Give one of them." });
    }
    await operation.wait(control.find());
    const stream = new this(control, options, marks);
    try {
      await operation.wait(stream.#readHistory());
    } catch (error) {
      stream.#end();
      throw error;
    }
    return stream;
  }

  /** The next entry; null at the end. @throws MissedRotationError when the log was rotated faster than it was read */
  async recv(options: WaitOptions = {}): Promise<LogEntry | null> {
    return (
      this.#queue.shift() ??
      (await Operation.run("wait for a log entry", options, (operation) => this.#next(operation)))
    );
  }

  async #next(operation: Operation): Promise<LogEntry | null> {
    for (;;) {
      operation.throwIfOver();
      const entry = this.#queue.shift();
      if (entry !== undefined) return entry;
      if (this.#over) return null;
      if (this.#changes === null) {
        this.#end();
        continue;
      }
      // Asked before reading: what is logged before the end is on disk before the end is.
      const status = await this.#status();
      const leftMs = (this.#options.until?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now();
      if (await this.#readMore()) continue;
      if (status === null || isTerminal(status) || leftMs <= 0) this.#end();
      else await this.#changes.next(operation, status, leftMs);
    }
  }

  /** Leaving a loop over it before its end (`break`, `return`, an error) disposes of the stream. */
  [Symbol.asyncIterator](): AsyncIterator<LogEntry> {
    return untilLeft(
      () => this.recv(),
      () => this[Symbol.asyncDispose](),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    this.#queue.length = 0;
    return Promise.resolve();
  }

  #end(): void {
    this.#over = true;
    this.#changes?.[Symbol.dispose]();
  }

  /** What is there already, in the order of time. */
  async #readHistory(): Promise<void> {
    const system = this.#sources.has("system");
    if (system) {
      this.#runtime = (await readNewLines(this.#paths.runtimeLog, logBeginning)).position;
      this.#kernel = (await readNewLines(this.#paths.kernelLog, logBeginning)).position;
    }
    const read = await readFrom(this.#paths, this.#begin, system);
    this.#position = read.position;
    this.#enqueue(read.entries);
  }

  /** @returns whether anything was added to the queue */
  async #readMore(): Promise<boolean> {
    const before = this.#queue.length;
    const read = await readExecLog(this.#paths.execLog, this.#position);
    this.#position = read.position;
    this.#enqueue(read.entries);
    if (this.#sources.has("system")) {
      const runtime = await readNewLines(this.#paths.runtimeLog, this.#runtime);
      const kernel = await readNewLines(this.#paths.kernelLog, this.#kernel);
      this.#runtime = runtime.position;
      this.#kernel = kernel.position;
      this.#enqueue([...runtime.entries, ...kernel.entries].map((line) => placeAt(line, read.position)));
    }
    return this.#queue.length > before;
  }

  #enqueue(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      if (isChosen(entry, this.#sources, this.#options, this.#marks)) this.#queue.push(entry);
    }
  }

  /** null: it is gone. */
  async #status(): Promise<SandboxStatus | null> {
    return (await this.#control.find().catch(() => null))?.status ?? null;
  }
}
