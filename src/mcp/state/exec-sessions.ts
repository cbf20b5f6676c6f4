import { randomUUID } from "node:crypto";
import { StringDecoder } from "node:string_decoder";
import type { ExecHandle, ExecSink, Sandbox } from "../../api/index.ts";
import { ToolError } from "../call/tool-failure.ts";

/** Bytes of output that wait to be polled. A command that prints more stands still until they were. */
const mostWaitingBytes = 4 << 20;
const mostSessions = 64;

/** What happened to a command, as text. */
export interface SessionEvent {
  readonly index: number;
  readonly event:
    | { readonly kind: "started"; readonly pid: number }
    | { readonly kind: "stdout" | "stderr"; readonly data: string }
    | { readonly kind: "exited"; readonly code: number };
}

/** A command that goes on between calls. */
export class ExecSession {
  readonly id = randomUUID();
  readonly #sandbox: Sandbox;
  readonly #handle: ExecHandle;
  readonly #stdin: ExecSink | null;
  readonly #encoding: "utf8" | "base64";
  readonly #events: SessionEvent[] = [];
  readonly #decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
  #next = 0;
  #waitingBytes = 0;
  /** Everything before it was polled. */
  #polled = 0;
  #changed = Promise.withResolvers<void>();
  #roomier = Promise.withResolvers<void>();
  exitCode: number | null = null;
  error: unknown = null;
  done = false;
  lastUsed = performance.now();

  /** @param sandbox a connection of its own, which ends with this */
  constructor(sandbox: Sandbox, handle: ExecHandle, encoding: "utf8" | "base64") {
    this.#sandbox = sandbox;
    this.#handle = handle;
    this.#encoding = encoding;
    this.#stdin = handle.takeStdin();
    void this.#pump();
  }

  /** The index of the next event. */
  get end(): number {
    return this.#next;
  }

  /**
   * The events from a place on; waits for the first one, if it is asked to.
   *
   * @throws ToolError for a place whose events have gone
   */
  async poll(
    cursor: number,
    limit: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<readonly SessionEvent[]> {
    const [first] = this.#events;
    const oldest = first?.index ?? this.#next;
    if (cursor < oldest || cursor > this.#next) {
      throw new ToolError(
        "invalid_input",
        `the cursor ${cursor} is not between ${oldest} and ${this.#next}`,
        `Use the nextCursor of the poll before, or ${oldest}.`,
      );
    }
    this.#polled = Math.max(this.#polled, cursor);
    this.#roomier.resolve();
    if (cursor === this.#next && !this.done && waitMs > 0) await this.#wait(waitMs, signal);
    return this.#events.filter(({ index }) => index >= cursor).slice(0, limit);
  }

  /** @throws ToolError when there is none */
  stdin(): ExecSink {
    if (this.#stdin !== null) return this.#stdin;
    throw new ToolError(
      "invalid_input",
      "the command has no standard input",
      "Start it with stdin set to true.",
    );
  }

  async signal(number: number): Promise<void> {
    await this.#handle.signal(number);
  }

  /** Kills the command, if it runs. Never throws. */
  async close(): Promise<void> {
    this.#polled = Infinity;
    this.#roomier.resolve();
    await this.#handle[Symbol.asyncDispose]().catch(() => undefined);
    await this.#sandbox[Symbol.asyncDispose]();
  }

  async #pump(): Promise<void> {
    try {
      for (let event = await this.#handle.recv(); event !== null; event = await this.#handle.recv()) {
        if (event.kind === "started") this.#push({ kind: "started", pid: event.pid }, 0);
        else if (event.kind === "exited") {
          this.exitCode = event.code;
          this.#push({ kind: "exited", code: event.code }, 0);
        } else {
          const { kind, data } = event;
          this.#push({ kind, data: this.#text(kind, data) }, data.length);
          await this.#makeRoom();
        }
      }
    } catch (error) {
      this.error = error;
    }
    this.done = true;
    this.#changed.resolve();
  }

  #text(kind: "stdout" | "stderr", data: Buffer): string {
    return this.#encoding === "base64" ? data.toString("base64") : this.#decoders[kind].write(data);
  }

  #push(event: SessionEvent["event"], bytes: number): void {
    this.#events.push({ index: this.#next++, event });
    this.#waitingBytes += bytes;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Waits while too much was printed that nobody has polled. What was polled stays, for a poll whose answer was lost, until room is needed. */
  async #makeRoom(): Promise<void> {
    while (this.#waitingBytes > mostWaitingBytes) {
      const [first] = this.#events;
      if (first === undefined) return;
      if (first.index < this.#polled) {
        this.#events.shift();
        if ("data" in first.event) this.#waitingBytes -= this.#bytesOf(first.event.data);
        continue;
      }
      this.#roomier = Promise.withResolvers();
      await this.#roomier.promise;
    }
  }

  #bytesOf(data: string): number {
    return Buffer.byteLength(data, this.#encoding);
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, ms);
    const abort = (): void => {
      over.resolve();
    };
    signal.addEventListener("abort", abort, { once: true });
    await Promise.race([this.#changed.promise, over.promise]);
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    signal.throwIfAborted();
  }
}

/** The commands that go on between calls. Those that nobody asks for are ended after a while. */
export class ExecSessions {
  readonly #sessions = new Map<string, ExecSession>();
  readonly #ttlMs: number;
  readonly #sweeper: NodeJS.Timeout;

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
    this.#sweeper = setInterval(
      () => {
        this.#sweep();
      },
      Math.min(ttlMs, 60_000),
    );
    this.#sweeper.unref();
  }

  /** @throws ToolError when there are too many */
  requireRoom(): void {
    if (this.#sessions.size < mostSessions) return;
    throw new ToolError(
      "operation_failed",
      `${mostSessions} commands go on already`,
      "End some by sandbox_exec_close.",
    );
  }

  add(session: ExecSession): void {
    this.#sessions.set(session.id, session);
  }

  /** @throws ToolError when there is none */
  get(id: string): ExecSession {
    const session = this.#sessions.get(id);
    if (session === undefined) {
      throw new ToolError(
        "operation_failed",
        `no command has the execSessionId ${id}`,
        "It was closed, or nobody has asked for it for too long: start another one.",
      );
    }
    session.lastUsed = performance.now();
    return session;
  }

  /** @returns whether there was one */
  async close(id: string): Promise<boolean> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.close();
    return session !== undefined;
  }

  async closeAll(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#sessions.keys()].map((id) => this.close(id)));
  }

  #sweep(): void {
    const eldest = performance.now() - this.#ttlMs;
    for (const { id, lastUsed } of this.#sessions.values()) if (lastUsed < eldest) void this.close(id);
  }
}
