import { decodeFailure } from "../../protocol/failure.ts";
import type { Message, StartedMessage } from "../../protocol/generated/messages.ts";
import { tellNotice, type StartObserver, type StartReport } from "./progress.ts";

/** What a supervisor says while its sandbox starts, told to whoever observes the start. */
export class StartWatch {
  readonly #observer: StartObserver;
  readonly #started = Promise.withResolvers<StartReport>();
  #isOver = false;
  #hasStarted = false;
  #hasFailed = false;

  constructor(observer: StartObserver) {
    this.#observer = observer;
    this.#started.promise.catch(() => undefined);
  }

  /** How the sandbox came to run; rejects with why it does not, or with what a callback of the observer has thrown. */
  get started(): Promise<StartReport> {
    return this.#started.promise;
  }

  /** Whether the supervisor itself has told that the start failed: then it ends by itself. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  message(message: Message): void {
    // A callback that has thrown is not called again.
    if (this.#isOver) return;
    try {
      this.#tell(message);
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.#isOver = true;
    this.#started.reject(error);
  }

  #tell(message: Message): void {
    // A sandbox that goes back to a checkpoint comes up anew; that is no start of whoever watched the first one.
    if (this.#hasStarted && message.type !== "Notice") return;
    switch (message.type) {
      case "StartProgress":
        this.#observer.onProgress?.({ stage: message.stage, elapsedMs: message.elapsedMs });
        return;
      case "Notice":
        tellNotice(this.#observer, message.message);
        return;
      case "Started": {
        const report = reportOf(message);
        this.#hasStarted = true;
        this.#observer.onStarted?.(report);
        this.#started.resolve(report);
        return;
      }
      case "Failure":
        this.#hasFailed = true;
        this.fail(decodeFailure(message));
        return;
      default:
    }
  }
}

function reportOf({ accelerator, route, reason, elapsedMs }: StartedMessage): StartReport {
  return { route, reason, accelerator, elapsedMs };
}
