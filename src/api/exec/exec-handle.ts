import { ExecTimeoutError, ProtocolError, RuntimeError } from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import { FrameKind, type DataKind } from "../../protocol/frame.ts";
import type { ExecExitedMessage, ExecMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { SupervisorConnection } from "../control/connection.ts";
import { EventQueue } from "./event-queue.ts";
import type { ExecEvent } from "./exec-event.ts";
import { execFailedError } from "./exec-failure.ts";
import { ExecOutput, type ExitStatus } from "./exec-output.ts";
import { ExecSink } from "./exec-sink.ts";
import { checkMaxOutput, defaultMaxOutputBytes, GatheredOutput } from "./gathered-output.ts";
import type { StdinMode } from "./stdin.ts";
import { untilLeft } from "../../host/until-left.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { Deadline } from "../../host/deadline.ts";

/** How the rest of a command's output is gathered. */
export interface CollectOptions extends WaitOptions {
  /** Bytes of each of stdout and stderr; Infinity for no bound. By default as the command's options say. */
  readonly maxOutputBytes?: number | undefined;
}

const SIGKILL = 9;
/** How long a killed command may take to be reported, ms. */
const killWaitMs = 5000;

/**
 * A running command. Its events come in order: `started`, then `stdout` and `stderr` as they arrive, `exited` last, after all that
 * its process had written. Others may still hold its output then, such as a server that a script has left in the background: they
 * go on, what they write goes to the sandbox's log, and to this handle if it was asked for with {@link followOutput}.
 *
 * A command that is not listened to is slowed down, not buffered without end: at most 512 KiB wait for `recv()`.
 *
 * Leaving a `for await` loop over a handle before its end (`break`, `return`, an error) kills the command, as disposing of the handle
 * does; after {@link release} it goes on.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("stream-example").image("localhost/base").replace().create();
 * for await (const event of await sandbox.shellStream("echo one; echo two >&2")) {
 *   if (event.kind === "stdout") process.stdout.write(event.data);
 * }
 * ```
 */
export class ExecHandle implements AsyncDisposable, AsyncIterable<ExecEvent>, StreamHandler {
  readonly #stream: Stream;
  readonly #program: string;
  readonly #cwd: string;
  readonly #events = new EventQueue((event) => {
    this.#used(event);
  });
  readonly #outcome = Promise.withResolvers<ExitStatus>();
  readonly #beginning = Promise.withResolvers<void>();
  readonly #sink: ExecSink | null;
  readonly #maxOutputBytes: number;
  #takenSink = false;
  #sessionId = 0;
  #following = false;
  /** Its process has ended. */
  #ended = false;
  /** Its end was received, and what others write after that is dropped. */
  #left = false;
  #exitSignal: number | null = null;
  #timedOut: ExecTimeoutError | null = null;
  #limit: Deadline | null = null;

  /** @internal Sends the request. */
  constructor(
    connection: SupervisorConnection,
    request: ExecMessage,
    stdin: StdinMode,
    timeoutMs: number | null,
    maxOutputBytes: number = defaultMaxOutputBytes,
  ) {
    this.#maxOutputBytes = maxOutputBytes;
    this.#program = request.argv[0] ?? "";
    this.#cwd = request.cwd;
    this.#outcome.promise.catch(() => undefined);
    this.#stream = connection.open(request, this);
    this.#sink = stdin.kind === "null" ? null : new ExecSink(this.#stream, request.tty);
    if (stdin.kind === "bytes") this.#feed(stdin.data);
    if (timeoutMs !== null) {
      this.#limit = new Deadline(() => {
        this.#expire(timeoutMs);
      });
      this.#limit.set(timeoutMs);
    }
  }

  /** The session's number in the sandbox's log, as text; `"0"` for a command that could not be started. */
  get id(): string {
    return String(this.#sessionId);
  }

  /** The Linux number of the signal that ended the command; null while it runs, and when it has exited by itself. */
  get exitSignal(): number | null {
    return this.#exitSignal;
  }

  /** @internal Resolves when the command has started or failed to. */
  startOutcome(): Promise<void> {
    return this.#beginning.promise;
  }

  /**
   * The next event, or null after the last one, then for ever.
   *
   * @throws ExecFailedError when the command could not be started; ExecTimeoutError; RuntimeError when the sandbox is gone
   */
  async recv(options: WaitOptions = {}): Promise<ExecEvent | null> {
    return await this.#events.next(options);
  }

  /**
   * Asks for what others write to the command's output after its end, which nobody but the log hears of otherwise: events then go on
   * after `exited` until the last one has closed it, or the sandbox ends. {@link wait} neither waits for that nor drops it;
   * {@link collect} gathers it. Ask before `exited` is received, best at once.
   *
   * @returns this handle
   * @throws RuntimeError when `exited` has been received, or dropped by {@link wait}: what followed it is dropped, too
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("follow-example").image("localhost/base").replace().create();
   * const handle = await sandbox.shellStream("(sleep 1; echo late) & echo now");
   * console.log((await handle.followOutput().collect()).stdout()); // now, late
   * ```
   */
  followOutput(): this {
    if (this.#left) {
      throw new RuntimeError(
        "the command's end was received already, and what others write after it dropped",
        {
          hint: "Call followOutput() as soon as there is a handle, before wait() or the last event.",
        },
      );
    }
    this.#following = true;
    return this;
  }

  /** The command's standard input; null when it was not asked for with `stdinPipe()`, or was taken already. */
  takeStdin(): ExecSink | null {
    if (this.#takenSink) return null;
    this.#takenSink = true;
    return this.#sink;
  }

  /**
   * Waits for the end and drops the output that is left. Given up, the command goes on.
   *
   * @throws as {@link recv}
   */
  async wait(options: WaitOptions = {}): Promise<ExitStatus> {
    this.#events.drop();
    return await Operation.run("wait for the end of the command", options, (operation) =>
      operation.wait(this.#outcome.promise),
    );
  }

  /**
   * Waits for the end and gathers the output that is left: of each of stdout and stderr at most so many bytes, the first ones, as the
   * command's `maxOutput` or this call's says (by default 100 MiB). The rest is dropped, which the result tells as `truncated`. Given up,
   * the command goes on, without what was gathered.
   *
   * @throws as {@link recv}; an ExecTimeoutError has what was gathered
   */
  async collect(options: CollectOptions = {}): Promise<ExecOutput> {
    const mostBytes = checkMaxOutput(options.maxOutputBytes ?? this.#maxOutputBytes);
    return await Operation.run(
      "gather the output of the command",
      options,
      (operation) => this.#gather(operation, mostBytes),
      { maxOutputBytes: "any" },
    );
  }

  async #gather({ signal }: Operation, mostBytes: number): Promise<ExecOutput> {
    const output = new GatheredOutput(mostBytes);
    try {
      for (let event = await this.recv({ signal }); event !== null; event = await this.recv({ signal }))
        output.add(event);
    } catch (error) {
      if (!(error instanceof ExecTimeoutError)) throw error;
      const { message, timeoutMs, hint } = error;
      const { stdout, stderr, truncated } = output;
      throw new ExecTimeoutError(message, { timeoutMs, stdout, stderr, truncated }, { hint });
    }
    const { code } = await this.#outcome.promise;
    return new ExecOutput(code, output.stdout, output.stderr, output.truncated);
  }

  /** Sends a signal, by its Linux number, to the command's whole process group. */
  signal(signal: number): Promise<void> {
    if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
      return Promise.reject(new RangeError(`${signal} is not the number of a signal`));
    }
    if (this.#reachable) this.#stream.send({ type: "Signal", signal });
    return Promise.resolve();
  }

  /** Kills the command's whole process group; with {@link followOutput} also what is left of it after the command's end. */
  kill(): Promise<void> {
    return this.signal(SIGKILL);
  }

  /** Tells the command that its terminal has another size now. */
  resize(rows: number, cols: number): Promise<void> {
    for (const value of [rows, cols]) {
      if (!Number.isInteger(value) || value < 0 || value > 0xffff) {
        return Promise.reject(new RangeError(`${value} is not a number of rows or columns`));
      }
    }
    if (this.#reachable) this.#stream.send({ type: "Resize", rows, cols });
    return Promise.resolve();
  }

  /**
   * Leaves the command running without this handle; its output goes to the sandbox's log only. Resolves when the sandbox has taken it
   * over. Whoever still waits for the command here gets a RuntimeError. Given up, it is left running all the same.
   */
  async release(options: WaitOptions = {}): Promise<void> {
    await Operation.run("release the command", options, async (operation) => {
      operation.throwIfOver();
      if (this.#ended) this.#leave();
      else if (!this.#over) this.#stream.send({ type: "Release" });
      await operation.wait(this.#outcome.promise.catch(() => undefined));
    });
  }

  /** @internal To be called before anything has come of it. */
  leaveUnlogged(): void {
    this.#stream.send({ type: "Unlogged" });
  }

  /** @internal Nobody waits for it any more: the supervisor kills a command whose stream is aborted. */
  abandon(): void {
    this.#events.drop();
    if (this.#ended) this.#leave();
    if (this.#over) return;
    const reason = new RuntimeError("the command was given up and killed");
    this.#stream.abort(reason);
    this.#fail(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent> {
    return untilLeft(
      () => this.recv(),
      () => this[Symbol.asyncDispose](),
    );
  }

  /** Kills the command, and drops what it printed: its end would wait behind output that nobody takes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#following = false;
    this.#events.drop();
    if (this.#ended) this.#leave();
    await this.kill();
  }

  /** @internal */
  message(message: Message): void {
    switch (message.type) {
      case "ExecStarted":
        this.#sessionId = message.sessionId;
        this.#events.push({ kind: "started", eventType: "started", pid: message.pid });
        this.#beginning.resolve();
        return;
      case "ExecExited":
        this.#exited(message);
        return;
      case "OutputsEnded":
        this.#events.close();
        return;
      case "ExecFailed":
        this.#fail(execFailedError(message, this.#program, this.#cwd));
        return;
      case "Failure":
        this.#fail(decodeFailure(message));
        return;
      case "Done":
        this.#fail(new RuntimeError("the command was left to itself"));
        return;
      default:
        this.#fail(new ProtocolError(`the supervisor sent ${message.type} on a command's stream`));
    }
  }

  /** @internal */
  data(kind: DataKind, payload: Buffer): void {
    if (this.#over) {
      // It goes on without this handle, and must not wait for it meanwhile.
      this.#stream.consume(payload.length);
      return;
    }
    // The reader may keep it as long as it likes.
    const data = Buffer.from(payload);
    if (kind === FrameKind.extra) this.#events.push({ kind: "stderr", eventType: "stderr", data });
    else this.#events.push({ kind: "stdout", eventType: "stdout", data });
  }

  /** @internal The command has closed its standard input. */
  stopSending(): void {
    this.#sink?.over();
  }

  /** @internal */
  lost(error: Error): void {
    this.#fail(error);
  }

  #feed(data: Uint8Array): void {
    this.#takenSink = true;
    void this.#sink?.write(data).then(() => this.#sink?.close());
  }

  #expire(timeoutMs: number): void {
    if (this.#timedOut === null) {
      this.#timedOut = timeoutError(this.#program, timeoutMs);
      this.#stream.send({ type: "Signal", signal: SIGKILL });
    } else if (this.#events.isEmpty) {
      // Whatever it is that goes on, it goes on without this client.
      this.#stream.send({ type: "Release" });
      this.#fail(this.#timedOut);
      return;
    }
    // The news of its end waits behind its output, and that for the reader.
    this.#limit?.set(killWaitMs);
  }

  /** No more events come. */
  get #over(): boolean {
    return this.#events.isOver;
  }

  /** Whether there is anybody whom a signal could reach. */
  get #reachable(): boolean {
    return !this.#over && (this.#following || !this.#ended);
  }

  /** Makes room for as much output as the event held. After `exited` nobody waits for more, unless he has said so. */
  #used(event: ExecEvent): void {
    if (event.kind === "stdout" || event.kind === "stderr") this.#stream.consume(event.data.length);
    else if (event.kind === "exited" && !this.#following) this.#leave();
  }

  #exited({ code, signal }: ExecExitedMessage): void {
    if (this.#over) return;
    // One that was not killed had ended before the time limit could reach it.
    if (this.#timedOut !== null && signal === SIGKILL) {
      this.#fail(this.#timedOut);
      // Those who survived it may hold its output for ever.
      this.#letGo();
      return;
    }
    this.#ended = true;
    if (signal !== 0) this.#exitSignal = signal;
    // What others write from now on was asked for, even if the command's own output was not.
    if (this.#following) this.#events.keep();
    this.#endProcess();
    this.#outcome.resolve({ code, success: code === 0 });
    this.#events.push({ kind: "exited", eventType: "exited", code });
  }

  /** Lets go of those who hold the output after the command's end. */
  #leave(): void {
    this.#left = true;
    this.#events.clear();
    if (this.#over) return;
    this.#events.close();
    this.#letGo();
  }

  /** The output that others write goes to the log only, not to this client. */
  #letGo(): void {
    // Mostly nobody holds it, and the last word arrives together with the end.
    queueMicrotask(() => {
      this.#stream.send({ type: "Release" });
    });
  }

  #fail(error: Error): void {
    if (this.#over) return;
    if (this.#ended) {
      // Its result is known; only its output goes no further.
      this.#events.close();
      return;
    }
    this.#events.fail(error);
    this.#endProcess();
    this.#outcome.reject(error);
  }

  #endProcess(): void {
    this.#limit?.cancel();
    this.#sink?.over();
    this.#beginning.resolve();
  }
}

function timeoutError(program: string, timeoutMs: number): ExecTimeoutError {
  return new ExecTimeoutError(
    `${JSON.stringify(program)} ran longer than ${timeoutMs} ms and was killed`,
    { timeoutMs, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), truncated: false },
    { hint: "Allow more time, or look at what the command waits for." },
  );
}
