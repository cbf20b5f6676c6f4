import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { isTerminal, isUp } from "../../config/enums.ts";
import { DirectoryChanges } from "../../host/files/directory-changes.ts";
import type { Operation } from "../../host/operation.ts";
import { SharedWork } from "../../host/shared-work.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Home } from "../../store/home.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { findSandbox, replaced, sandboxPaths, type FoundSandbox } from "../../store/sandboxes.ts";
import { noParts, type ProgramParts } from "../providers/program-parts.ts";
import { SupervisorConnection } from "./connection.ts";
import { defaultConnectMs } from "./control-limits.ts";
import { notRunning } from "./found-sandbox.ts";

/** What is not answered sooner is not going to be, ms. */
const answerMs = 10_000;
/** Where no event tells of a change (a sandbox that is starting, or whose supervisor was killed), look this often. */
const recheckMs = 250;

/** A connection that is not closed before it was given back. */
export interface BorrowedConnection extends Disposable {
  readonly connection: SupervisorConnection;
}

/** One sandbox, whoever started it: where it is found, and the connection to it. */
export class SandboxLink {
  readonly home: Home;
  readonly record: SandboxRecord;
  /** What this program has given to it. */
  readonly parts: ProgramParts;
  readonly #keeps: boolean;
  readonly #connecting = new SharedWork<SupervisorConnection>();
  #connection: SupervisorConnection | null;
  #users = 0;

  /**
   * @param keepsConnection false: a connection is closed when nobody waits for an answer on it any more. A sandbox takes 128
   * at most, and one who only looks a sandbox up never says that he is done with it.
   */
  constructor(
    home: Home,
    record: SandboxRecord,
    connection: SupervisorConnection | null,
    keepsConnection: boolean,
    parts: ProgramParts = noParts,
  ) {
    this.home = home;
    this.parts = parts;
    this.record = record;
    this.#connection = connection;
    this.#keeps = keepsConnection;
  }

  get name(): string {
    return this.record.name;
  }

  get id(): string {
    return this.record.id;
  }

  /** @throws SandboxNotFoundError, SandboxReplacedError */
  async find(): Promise<FoundSandbox> {
    const found = await findSandbox(this.home, this.name);
    if (found.record.id !== this.id) throw replaced(this.name);
    return found;
  }

  /**
   * The connection to the running sandbox, made when there is none: one for all who ask for it at the same time.
   *
   * @throws SandboxNotRunningError, RuntimeError
   */
  async connect(operation: Operation, timeoutMs = defaultConnectMs): Promise<SupervisorConnection> {
    operation.throwIfOver();
    if (this.#connection?.lost === false) return this.#connection;
    operation.log("connecting to the sandbox's supervisor");
    return await this.#connecting.wait(operation, (signal) => this.#makeConnection(timeoutMs, signal));
  }

  /**
   * The same, kept until it is given back.
   *
   * @throws as {@link connect}
   */
  async borrow(operation: Operation): Promise<BorrowedConnection> {
    this.#users++;
    try {
      const connection = await this.connect(operation);
      let isBorrowed = true;
      const giveBack = (): void => {
        if (isBorrowed) this.#giveBack();
        isBorrowed = false;
      };
      return { connection, [Symbol.dispose]: giveBack };
    } catch (error) {
      this.#giveBack();
      throw error;
    }
  }

  async #makeConnection(timeoutMs: number, signal: AbortSignal): Promise<SupervisorConnection> {
    const found = await this.find();
    const { socket } = found.state;
    if (!isUp(found.status) || socket === null) {
      throw notRunning(this.name, found.status);
    }
    signal.throwIfAborted();
    try {
      const made = await SupervisorConnection.connect(socket, this.id, timeoutMs, signal);
      // Nobody is left who would close it.
      if (signal.aborted) made.close();
      else this.#connection = made;
      return made;
    } catch (error) {
      signal.throwIfAborted();
      // It may have ended between the look and the call.
      const now = await this.find();
      if (now.status !== found.status) throw notRunning(this.name, now.status);
      throw error;
    }
  }

  /**
   * A request that needs a running sandbox.
   *
   * @throws RuntimeError when it is not answered in time
   */
  async request<T extends Message["type"]>(
    operation: Operation,
    message: Message,
    answer: T,
    limitMs = answerMs,
  ): Promise<Extract<Message, { type: T }>> {
    return await this.use(operation, async (connection) => {
      operation.log(`asking the supervisor: ${message.type}`);
      const received = await connection.request(message, operation.signal, {
        ms: limitMs,
        error: () =>
          new RuntimeError(`sandbox ${this.name} did not answer within ${limitMs} ms`, {
            hint: `If it goes on like this, end it: msb stop -f ${this.name}`,
          }),
      });
      if (received.type !== answer)
        throw new ProtocolError(`the supervisor answered ${message.type} with ${received.type}`);
      return received as Extract<Message, { type: T }>;
    });
  }

  /** The sandbox was started again: what it is spoken with from now on is this one's. */
  takeOver(started: SandboxLink): void {
    this.disconnect();
    if (this.#keeps) this.#connection = started.#connection;
    else started.disconnect();
  }

  /** Drops the connection. As the owner of an attached sandbox this ends it. */
  disconnect(): void {
    this.#connection?.close();
    this.#connection = null;
  }

  /** The sandbox may be gone because it ended meanwhile: then that is the error, not the lost connection. */
  async explainLoss<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof RuntimeError) || this.#connection?.lost !== true) throw error;
      const found = await this.find().catch(() => null);
      if (found !== null && isTerminal(found.status)) throw notRunning(this.name, found.status);
      throw error;
    }
  }

  /** Does something with the connection, which is there until that is done. @throws as {@link connect} */
  async use<T>(operation: Operation, work: (connection: SupervisorConnection) => Promise<T>): Promise<T> {
    using borrowed = await this.borrow(operation);
    return await this.explainLoss(work(borrowed.connection));
  }

  #giveBack(): void {
    this.#users--;
    if (this.#users === 0 && !this.#keeps) this.disconnect();
  }

  /** Resolves when something in the sandbox's directory changed, or after a moment. */
  async waitForChange(operation: Operation): Promise<void> {
    using changes = new DirectoryChanges([sandboxPaths(this.home, this.name).directory], recheckMs);
    await operation.wait(changes.next());
  }
}
