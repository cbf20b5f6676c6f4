import type { ChildProcess } from "node:child_process";
import type { EventEmitter } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { MetricsUnavailableError, RuntimeError } from "../errors/index.ts";
import { inheritedFds } from "./qemu/inherited-fds.ts";
import { classifyExit } from "./exit.ts";
import { orTimeout } from "../host/or-timeout.ts";
import { withSharedBuffer } from "../host/system/shared-read-buffer.ts";
import { processCpuTimeNs, processResidentBytes } from "../host/process/process-usage.ts";
import type { QemuBinary } from "./qemu/qemu-binary.ts";
import { asObject, QmpClient, type QmpCommand, type QmpEvent } from "./qmp/qmp.ts";
import { captureMachine, type Capture, type Captured } from "./memory/capture-machine.ts";
import { openingCommands, restoreCommands, saveState } from "./memory/save-restore.ts";
import { connection, ended, portOf, releaseWatcher, teeConsole } from "./qemu/qemu-connections.ts";
import { hasEnded, spawnQemu, type SpawnedQemu } from "./qemu/spawn.ts";
import { takeConnection } from "./qemu/take-connection.ts";
import { diskErrorOf } from "./disks/disk-error.ts";
import { diskWrites } from "./disks/disk-writes.ts";
import { Tail } from "../host/files/tail.ts";
import type { TimerRange } from "./qemu/command-line.ts";
import { machineCommand } from "./machine-command.ts";
import type { Accelerator, MachineExit, MachineSpec } from "./types.ts";

const consoleTailBytes = 8 * 1024;
const bytesPerMib = 1024 * 1024;

/** How long after QEMU's end the last bytes of its sockets, already in the kernel's buffers, are waited for. */
const drainMs = 1000;

export interface MachineOptions {
  readonly qemu: QemuBinary;
  /** From {@link measureTscKhz}; null when unknown or not needed. */
  readonly tscKhz: number | null;
  /** What the kernel of one that boots may take its timer for, where it measures that: what is bearable, unless said otherwise. */
  readonly timer?: TimerRange;
  /** For a machine that is restored: the open file that {@link Machine.save} has written. May be closed afterwards. */
  readonly stateFd?: number;
  /** {@link Machine.capture} has written it. Resolves when the machine may go on, which is asked once its state is loaded. */
  readonly captured?: () => Promise<void>;
}

/**
 * One running QEMU and the three connections to it. Nothing of it survives this process.
 *
 * @example
 * ```ts
 * await using machine = Machine.start(spec, "tcg", { qemu: await findQemu(), tscKhz: null });
 * machine.console.pipe(kernelLog);
 * await machine.ready;
 * console.log((await machine.exited).reason);
 * ```
 */
export class Machine implements AsyncDisposable {
  readonly pid: number;
  readonly accelerator: Accelerator;
  /** The guest agent's serial port; ends with the machine. */
  readonly agentPort: Duplex;
  /** Our end of the guest's cable, of which nothing is read until somebody does; null when it has none. Ends with the machine. */
  readonly networkPort: Duplex | null;
  /** What the guest writes to its console. It must be read: a guest whose console is full waits. */
  readonly console: Readable;
  /** QEMU answers and the guest's processors run. Rejects with RuntimeError when QEMU ends before. */
  readonly ready: Promise<void>;
  /** Never rejects. */
  readonly exited: Promise<MachineExit>;
  /** Emits `event` with what QEMU reports: `BLOCK_IO_ERROR`, `STOP`, `GUEST_PANICKED`, `SHUTDOWN`… */
  readonly events: EventEmitter<{ event: [QmpEvent] }>;
  /** Resolves when the host has no space left for what the guest writes. The guest stands still then; {@link resume} tries again. */
  readonly outOfSpace: Promise<void>;
  readonly #outOfSpace = Promise.withResolvers<void>();
  readonly #child: ChildProcess;
  readonly #qmp: QmpClient;
  readonly #consoleTail = new Tail(consoleTailBytes);
  readonly #outputTail: Tail;
  #killRequested = false;
  #quitRequested = false;
  #hasExited = false;
  #shutdownReason: string | null = null;
  #panicked = false;
  readonly #isRestored: boolean;
  readonly #mayGoOn: (() => Promise<void>) | null;
  #hasRun = false;
  readonly #running = Promise.withResolvers<void>();
  #runs = true;
  #resumes = 0;
  #restoreFailed = false;

  /**
   * Starts QEMU and returns at once. Must be called on Node's main thread.
   *
   * @throws RuntimeError when the process cannot be created; InvalidConfigError for a disk serial number of the wrong form
   */
  static start(spec: MachineSpec, accelerator: Accelerator, options: MachineOptions): Machine {
    const { qemu, stateFd, captured = null } = options;
    const command = machineCommand(spec, accelerator, { ...options, parentPid: process.pid });
    const isWatched = qemu.lifeline.kind === "watcher";
    const spawned = spawnQemu(command, {
      isWatched,
      stateFd: stateFd ?? null,
      hasNetwork: spec.network === true,
    });
    return new Machine(spawned, accelerator, stateFd !== undefined, captured, 0);
  }

  /**
   * Takes over a QEMU of this process that goes on from a saved state: it was started with {@link machineCommand} and
   * {@link spawnQemu}, and told {@link openingLines}.
   */
  static adopt(spawned: SpawnedQemu, accelerator: Accelerator): Machine {
    return new Machine(spawned, accelerator, true, null, openingCommands.length);
  }

  private constructor(
    { child, output, error }: SpawnedQemu,
    accelerator: Accelerator,
    isRestored: boolean,
    mayGoOn: (() => Promise<void>) | null,
    commandsSent: number,
  ) {
    if (child.pid === undefined) {
      throw new RuntimeError(`QEMU could not be started with ${child.spawnfile}`, {
        hint: "The system refuses a new process: look at its limits (ulimit -u, ulimit -n) and free memory.",
      });
    }
    this.pid = child.pid;
    this.accelerator = accelerator;
    this.#child = child;
    this.#isRestored = isRestored;
    this.#mayGoOn = mayGoOn;
    this.agentPort = withSharedBuffer(connection(child, inheritedFds.agent));
    // A listener of its own, so that a connection reset at QEMU's end is never an uncaught error.
    this.agentPort.on("error", () => undefined);
    this.networkPort = portOf(child, inheritedFds.network);
    this.networkPort?.on("error", () => undefined);
    this.#outputTail = output;
    this.console = teeConsole(connection(child, inheritedFds.console), this.#consoleTail);
    this.#qmp = new QmpClient(connection(child, inheritedFds.qmp), commandsSent);
    this.events = this.#qmp.events;
    this.events.on("event", (event) => this.#note(event));
    this.outOfSpace = this.#outOfSpace.promise;
    this.exited = this.#waitForExit(error);
    this.ready = this.#becomeReady(isRestored ? restoreCommands : null);
    this.ready.catch(() => undefined);
  }

  /** Whether the guest's processors run, as QEMU has told last. */
  get runs(): boolean {
    return this.#runs;
  }

  /** The end of the console so far, at most 8 KiB. */
  get consoleTail(): string {
    return this.#consoleTail.toString();
  }

  /** The end of what QEMU itself has written so far, at most 8 KiB. */
  get qemuOutput(): string {
    return this.#outputTail.toString();
  }

  /**
   * Bytes the guest has read from and written to its disks since the start.
   *
   * @throws QmpError when QEMU does not answer
   */
  async blockStats(): Promise<{ readBytes: number; writeBytes: number }> {
    const devices = await this.#qmp.execute("query-blockstats");
    let readBytes = 0;
    let writeBytes = 0;
    for (const device of Array.isArray(devices) ? devices : []) {
      const stats = asObject(asObject(device)?.["stats"]);
      readBytes += byteCount(stats?.["rd_bytes"]);
      writeBytes += byteCount(stats?.["wr_bytes"]);
    }
    return { readBytes, writeBytes };
  }

  /** How often the guest has changed a disk. @param path of its file. @throws as {@link diskWrites} */
  async diskWrites(path: string): Promise<number> {
    return await diskWrites(this.#qmp, path);
  }

  /**
   * Processor time QEMU has used since its start, in nanoseconds: the guest's and its own.
   *
   * @throws MetricsUnavailableError when QEMU has ended
   */
  async cpuTimeNs(): Promise<number> {
    const time = this.#hasExited ? null : await processCpuTimeNs(this.pid);
    if (time === null)
      throw new MetricsUnavailableError("the machine has ended", { hint: "Start the sandbox again." });
    return time;
  }

  /** Memory of the host that QEMU occupies, in bytes; null when it cannot be had or QEMU has ended. */
  async residentBytes(): Promise<number | null> {
    return this.#hasExited ? null : processResidentBytes(this.pid);
  }

  /**
   * Writes the state of everything but the memory, which must lie in a file (`template` of the spec, `shared`). The machine
   * stands still afterwards: {@link resume} it, or end it and the pair of files stays as it is.
   *
   * @param statePath the file to write; replaced when it exists
   * @param socketPath where the state passes through; nothing may be there
   * @throws QmpError when QEMU cannot save this machine; IoError
   */
  async save(statePath: string, socketPath: string): Promise<void> {
    await saveState(this.#qmp, statePath, socketPath);
  }

  /**
   * Copies a machine that goes on afterwards as if nothing had been; it stands still for a moment. What other programs have of it is not
   * copied: what was on its way through a connection is lost to the copy.
   *
   * @param memoryMib what its guest has
   * @throws QmpError, IoError, RuntimeError. The machine goes on then too
   */
  async capture(memoryMib: number, capture: Capture): Promise<Captured> {
    return await captureMachine(
      {
        ...{ pid: this.pid, qmp: this.#qmp },
        runs: () => this.#runs,
        resumes: () => this.#resumes,
        pause: () => this.pause(),
        resume: () => this.resume(),
      },
      memoryMib * bytesPerMib,
      capture,
    );
  }

  /**
   * Gives away our end of the port through which the guest's relay asks for files of the host.
   *
   * @returns an open descriptor, which is the caller's from now on
   * @throws RuntimeError when it was given away before
   */
  takeFilesPort(): number {
    return takeConnection(this.#child, inheritedFds.files);
  }

  /** Holds the guest's processors. What the guest wants of its disks by then is done first. @throws QmpError */
  async pause(): Promise<void> {
    await this.#qmp.execute("stop");
  }

  /** Goes on after {@link save}, {@link pause} and {@link outOfSpace}. @throws QmpError */
  async resume(): Promise<void> {
    await this.#qmp.execute("cont");
  }

  /** Has QEMU end, as it does when the guest powers off. What the guest has not written to its disks is lost. */
  quit(): void {
    this.#quitRequested = true;
    // Where it does not answer, it ends already, or has to be killed.
    this.#qmp.execute("quit").catch(() => undefined);
  }

  /** Ends QEMU at once, as if the power failed. Does nothing after its end. */
  kill(): void {
    if (this.#hasExited) return;
    this.#killRequested = true;
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.exited;
  }

  async #becomeReady(commands: readonly QmpCommand[] | null): Promise<void> {
    try {
      // All at once: QEMU takes them one after another, and every round trip would cost one of its slow first rounds.
      const [, status] = await Promise.all([
        this.#qmp.negotiate(),
        ...(commands === null
          ? [this.#qmp.execute("query-status")]
          : commands.map(([name, parameters]) => this.#qmp.execute(name, parameters))),
      ]);
      if (asObject(status)?.["running"] === true) return;
      await Promise.race([
        this.#running.promise,
        this.#qmp.closed.then(() => Promise.reject(new Error("QEMU ended"))),
      ]);
    } catch (error) {
      const exit = await this.exited;
      throw new RuntimeError(`the machine ended before it ran: ${exit.detail}`, {
        cause: error,
        hint: "Run `msb doctor` to check QEMU, the accelerator and the guest kernel.",
      });
    }
  }

  async #waitForExit(spawnError: () => Error | null): Promise<MachineExit> {
    const child = this.#child;
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      if (hasEnded(child)) resolve([child.exitCode, child.signalCode]);
      else child.once("exit", (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
    });
    this.#hasExited = true;
    releaseWatcher(child);
    const drained = [this.#qmp.closed, ended(child.stdout), ended(child.stderr), ended(this.console)];
    await orTimeout(Promise.all(drained), drainMs);
    this.#qmp.close();
    return classifyExit({
      code,
      signal,
      spawnError: spawnError(),
      killRequested: this.#killRequested,
      quitRequested: this.#quitRequested,
      shutdownReason: this.#shutdownReason,
      panicked: this.#panicked,
      restoreFailed: this.#restoreFailed,
      consoleTail: this.consoleTail,
      qemuOutput: this.qemuOutput,
    });
  }

  #note(event: QmpEvent): void {
    if (event.name === "GUEST_PANICKED") this.#panicked = true;
    if (event.name === "SHUTDOWN") this.#shutdownReason = String(event.data["reason"]);
    if (event.name === "RESUME") {
      this.#hasRun = this.#runs = true;
      this.#resumes++;
      this.#running.resolve();
    }
    if (event.name === "STOP") this.#runs = false;
    if (diskErrorOf(event)?.held === true) this.#outOfSpace.resolve();
    // It takes the locks of its disks only now. Without one of them it says so, and stands still for ever.
    if (
      event.name === "MIGRATION" &&
      event.data["status"] === "completed" &&
      this.#isRestored &&
      !this.#hasRun
    ) {
      const mayGoOn = this.#mayGoOn;
      if (mayGoOn === null) this.#failToRestore();
      else
        mayGoOn()
          .then(() => this.resume())
          .catch(() => this.#failToRestore());
    }
  }

  #failToRestore(): void {
    this.#restoreFailed = true;
    this.#child.kill("SIGKILL");
  }
}

function byteCount(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
