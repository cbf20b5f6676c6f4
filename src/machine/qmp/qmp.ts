import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { RuntimeError } from "../../errors/index.ts";

/** Something QEMU reports without being asked. */
export interface QmpEvent {
  /** Such as `SHUTDOWN` or `BLOCK_IO_ERROR`. */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** QEMU refused a command, or its monitor connection ended or broke. */
export class QmpError extends RuntimeError {
  /** QEMU's class of the error (`GenericError`, `CommandNotFound`…); null when QEMU did not answer the command. */
  readonly qmpClass: string | null;

  constructor(message: string, qmpClass: string | null, options?: { hint?: string; cause?: unknown }) {
    super(message, options);
    this.qmpClass = qmpClass;
  }
}

/** A command's name and its arguments. */
export type QmpCommand = readonly [name: string, parameters?: Readonly<Record<string, unknown>>];

/** The first command of every connection. */
export const enterCommandMode: QmpCommand = ["qmp_capabilities"];

/** @param id what the answer is known by: the commands of a connection are counted from 1 */
export function commandLine(id: number, [name, parameters]: QmpCommand): string {
  return `${JSON.stringify({ execute: name, arguments: parameters, id })}\n`;
}

interface PendingCommand {
  readonly name: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: QmpError) => void;
  readonly timer: NodeJS.Timeout;
}

/** QEMU's longest answers (`query-qmp-schema`) are about 250 KB. */
const longestLineBytes = 1024 * 1024;

/** An answer comes within a millisecond unless QEMU's main loop waits for the host's disk. */
const answerTimeoutMs = 30_000;

/**
 * A client of QEMU's monitor: one JSON object per line each way, answers matched to commands by id.
 * See docs/interop/qmp-spec.txt in QEMU's source.
 *
 * @example
 * ```ts
 * const qmp = new QmpClient(socket);
 * await qmp.negotiate();
 * const status = await qmp.execute("query-status");
 * ```
 */
export class QmpClient {
  /** Emits `event` with a {@link QmpEvent}. */
  readonly events: EventEmitter<{ event: [QmpEvent] }> = new EventEmitter();
  /** Resolves once the connection has ended, however it did. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #pending = new Map<number, PendingCommand>();
  readonly #greeted: Promise<void>;
  #settleGreeting: { resolve: () => void; reject: (error: QmpError) => void } | null = null;
  #resolveClosed: () => void = () => undefined;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  readonly #sentBefore: number;
  #nextId = 1;
  #failure: QmpError | null = null;

  /** @param sentBefore so many of the first commands were written by someone else: what is asked for first are these */
  constructor(stream: Duplex, sentBefore = 0) {
    this.#stream = stream;
    this.#sentBefore = sentBefore;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#greeted = new Promise((resolve, reject) => (this.#settleGreeting = { resolve, reject }));
    this.#greeted.catch(() => undefined);
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", (error) =>
      this.#fail(new QmpError(`the QMP connection failed: ${error.message}`, null, { cause: error })),
    );
    stream.on("close", () => this.#fail(new QmpError("QEMU closed its QMP connection", null)));
    stream.on("end", () => this.#fail(new QmpError("QEMU closed its QMP connection", null)));
    // It may have been closed before anybody listened.
    if (stream.destroyed || stream.readableEnded) {
      this.#fail(new QmpError("QEMU closed its QMP connection", null));
    }
  }

  /** Leaves negotiation mode; nothing else works before. Commands may follow at once: QEMU takes them in order. */
  async negotiate(): Promise<void> {
    await Promise.all([this.#greeted, this.execute(...enterCommandMode)]);
  }

  /**
   * Runs a command.
   *
   * @returns what QEMU returned, not checked in any way
   * @throws QmpError when QEMU refuses the command, does not answer within 30 s, or the connection ends first
   */
  execute(name: string, parameters?: Readonly<Record<string, unknown>>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new QmpError(`QEMU did not answer ${name} within ${answerTimeoutMs / 1000} s`, null));
      }, answerTimeoutMs);
      timer.unref();
      this.#pending.set(id, { name, resolve, reject, timer });
      if (id > this.#sentBefore)
        this.#stream.write(commandLine(id, parameters === undefined ? [name] : [name, parameters]));
    });
  }

  /** Ends the connection; commands without an answer are rejected. */
  close(): void {
    this.#fail(new QmpError("the QMP connection was closed", null));
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    while (this.#failure === null) {
      const end = rest.indexOf(0x0a);
      if (end === -1) break;
      const line = Buffer.concat([...this.#partial, rest.subarray(0, end)]).toString("utf8");
      this.#partial = [];
      this.#partialBytes = 0;
      rest = rest.subarray(end + 1);
      this.#receiveLine(line);
    }
    if (rest.length === 0 || this.#failure !== null) return;
    this.#partial.push(rest);
    this.#partialBytes += rest.length;
    if (this.#partialBytes > longestLineBytes) {
      this.#fail(new QmpError(`QEMU sent a QMP line longer than ${longestLineBytes} bytes`, null));
    }
  }

  #receiveLine(line: string): void {
    if (line.trim() === "") return;
    const message = parseObject(line);
    if (message === null) {
      this.#fail(new QmpError("QEMU sent something that is not a JSON object on its QMP connection", null));
    } else if ("QMP" in message) {
      this.#settleGreeting?.resolve();
      this.#settleGreeting = null;
    } else if (typeof message["event"] === "string") {
      this.events.emit("event", { name: message["event"], data: asObject(message["data"]) ?? {} });
    } else {
      this.#receiveAnswer(message);
    }
  }

  #receiveAnswer(message: Readonly<Record<string, unknown>>): void {
    const id = message["id"];
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
    if (pending === undefined || typeof id !== "number") {
      // The answer to a command that has timed out; or to one that QEMU could not parse, which then times out.
      return;
    }
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    const error = asObject(message["error"]);
    if (error === null) {
      pending.resolve(message["return"]);
    } else {
      pending.reject(
        new QmpError(`QEMU refused ${pending.name}: ${String(error["desc"])}`, String(error["class"])),
      );
    }
  }

  #fail(error: QmpError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#partial = [];
    this.#settleGreeting?.reject(error);
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
    this.#stream.destroy();
    this.#resolveClosed();
  }
}

function parseObject(line: string): Readonly<Record<string, unknown>> | null {
  try {
    return asObject(JSON.parse(line));
  } catch {
    return null;
  }
}

/** @returns `value` when it is a JSON object, else null */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
