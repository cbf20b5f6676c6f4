import type { Operation } from "../../host/operation.ts";
import { ProtocolError } from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { JobAccess, JobReportMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import type { BorrowedConnection } from "../control/sandbox-link.ts";

/** What the supervisor tells of a job: the newest counts, and the next comes when it is asked for. */
export class JobFeed implements StreamHandler {
  readonly stream: Stream;
  readonly #borrowed: BorrowedConnection;
  #report: JobReportMessage | null = null;
  #isNew = false;
  #isAsked = true;
  #isLeft = false;
  #error: Error | null = null;
  #isLost = false;
  #changed = Promise.withResolvers<void>();
  /** Called when nobody takes input any more. */
  onStopped: () => void = () => undefined;

  private constructor(borrowed: BorrowedConnection, id: string, access: JobAccess) {
    this.#borrowed = borrowed;
    this.stream = borrowed.connection.open({ type: "AttachJob", id, access }, this);
  }

  /** @throws SandboxNotRunningError, RuntimeError */
  static async open(
    control: SandboxControl,
    id: string,
    access: JobAccess,
    operation: Operation,
  ): Promise<JobFeed> {
    const borrowed = await control.borrow(operation);
    try {
      return new JobFeed(borrowed, id, access);
    } catch (error) {
      borrowed[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether the connection broke: then what is on the disk tells. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * One that was not taken yet.
   *
   * @returns null when this was left
   * @throws what the supervisor says; that the connection was lost
   */
  async take(operation: Operation): Promise<JobReportMessage | null> {
    for (;;) {
      operation.throwIfOver();
      if (this.#isLeft) return null;
      if (this.#isNew) {
        this.#isNew = false;
        return this.#report;
      }
      if (this.#error !== null) throw this.#error;
      if (!this.#isAsked) {
        this.#isAsked = true;
        this.stream.send({ type: "Next" });
      }
      await operation.wait(this.#changed.promise);
    }
  }

  /** Nobody listens any more. */
  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.stream.abort(new Error("nobody follows the job any more"));
    this.#over();
  }

  message(message: Message): void {
    switch (message.type) {
      case "JobReport":
        this.#report = message;
        this.#isNew = true;
        this.#isAsked = false;
        this.#wake();
        return;
      case "Done":
        this.#fail(new ProtocolError("the supervisor ended the report of a job without its end"));
        return;
      case "Failure":
        this.#fail(decodeFailure(message));
        return;
      default:
        this.#fail(new ProtocolError(`the supervisor sent ${message.type} on a job's stream`));
    }
  }

  data(): void {
    // A job's output is in the log; its service has no data this way.
  }

  stopSending(): void {
    this.onStopped();
  }

  lost(error: Error): void {
    this.#isLost = true;
    this.#fail(error);
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#over();
  }

  #over(): void {
    this.onStopped();
    this.#wake();
    // Whoever holds the connection for nothing but this closes it in the middle of what arrives on it.
    queueMicrotask(() => {
      this.#borrowed[Symbol.dispose]();
    });
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
