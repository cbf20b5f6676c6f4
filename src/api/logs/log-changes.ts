import { isUp } from "../../config/enums.ts";
import type { SandboxStatus } from "../../config/enums.ts";
import { RuntimeError } from "../../errors/index.ts";
import { DirectoryChanges } from "../../host/files/directory-changes.ts";
import type { Operation } from "../../host/operation.ts";
import { orTimeout } from "../../host/or-timeout.ts";
import type { Stream } from "../../protocol/stream.ts";
import type { BorrowedConnection } from "../control/sandbox-link.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";

/** Where nobody tells of a change, look this often. */
const recheckMs = 1000;

/** Whose logs they are. */
export type LogsOwner = Pick<SandboxControl, "borrow">;

/**
 * Tells when a sandbox's logs have grown: its supervisor does while it answers. While there is none (the sandbox starts, or has
 * ended) the files' directories are watched instead.
 */
export class LogChanges implements Disposable {
  readonly #control: LogsOwner;
  readonly #files: DirectoryChanges;
  #told: Subscribed | null = null;
  #closed = false;

  constructor(control: LogsOwner, directories: readonly string[]) {
    this.#control = control;
    this.#files = new DirectoryChanges(directories, recheckMs);
  }

  /**
   * Resolves when there may be more in the logs than at the last call, and after `atMostMs`.
   *
   * @throws why the operation is over
   */
  async next(operation: Operation, status: SandboxStatus, atMostMs: number): Promise<void> {
    if (isUp(status) && this.#told?.over !== false) await this.#subscribe(operation);
    if (this.#closed) return;
    const told = this.#told?.over === false ? this.#told : null;
    const release = told?.hold();
    try {
      await operation.wait(orTimeout(told === null ? this.#files.next() : told.change, atMostMs));
    } finally {
      release?.();
    }
    told?.noted();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#told?.close();
    this.#files[Symbol.dispose]();
  }

  /** A supervisor that cannot be asked, such as one with too many clients, is done without. */
  async #subscribe(operation: Operation): Promise<void> {
    try {
      const borrowed = await this.#control.borrow(operation);
      this.#told = new Subscribed(borrowed);
      if (this.#closed) this.#told.close();
    } catch {
      operation.throwIfOver();
      this.#told = null;
    }
  }
}

/** What a supervisor tells. It is over when the sandbox has ended, or the connection. */
class Subscribed {
  readonly #borrowed: BorrowedConnection;
  readonly #stream: Stream;
  #over = false;
  /** Settled once something was told that nobody has noted yet, or nothing more will be. */
  #change = Promise.withResolvers<void>();
  #isNew = false;

  /** @throws RuntimeError when too much is asked of the connection already */
  constructor(borrowed: BorrowedConnection) {
    this.#borrowed = borrowed;
    try {
      this.#stream = borrowed.connection.subscribe(
        { type: "WatchLogs" },
        {
          message: ({ type }) => {
            if (type === "LogsChanged") this.#tell();
            else this.#end();
          },
          data: () => undefined,
          lost: () => {
            this.#end();
          },
        },
      );
    } catch (error) {
      borrowed[Symbol.dispose]();
      throw error;
    }
  }

  get over(): boolean {
    return this.#over;
  }

  /** Resolves when there is a change that was not noted, or it is over. */
  get change(): Promise<void> {
    return this.#change.promise;
  }

  /** Keeps the program alive until what it returns is called. */
  hold(): () => void {
    return this.#borrowed.connection.hold();
  }

  /** Whoever has seen the change looks into the logs now: what is told from here on is another one. */
  noted(): void {
    if (!this.#isNew || this.#over) return;
    this.#isNew = false;
    this.#change = Promise.withResolvers();
    this.#stream.send({ type: "Next" });
  }

  close(): void {
    this.#stream.abort(new RuntimeError("nobody follows the log any more"));
    this.#end();
  }

  #tell(): void {
    this.#isNew = true;
    this.#change.resolve();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#borrowed[Symbol.dispose]();
    this.#change.resolve();
  }
}
