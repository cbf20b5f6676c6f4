import type { TreeEvent } from "../../host/tree/tree.ts";
import type { ArchiveEvent } from "./archive/archive-reader.ts";
import type { CopyProblem } from "./copy-problem.ts";

/** Where a copy comes from: a tree whose first event is its root. */
export interface CopySource {
  read(signal: AbortSignal): AsyncGenerator<readonly ArchiveEvent[], void, undefined>;
  /** What could not be read, when all else was. */
  readonly problems: readonly CopyProblem[];
}

/** Where a copy goes. Whatever becomes of it, nothing is under its final name before it is whole. */
export interface CopySink<Event extends ArchiveEvent = TreeEvent> {
  /** Takes what comes next; resolves when there is room for more. The bytes must not change before `finish()`. */
  write(events: readonly Event[]): Promise<void>;
  /** Waits until all is there. @returns what is not */
  finish(): Promise<CopyProblems>;
  /** Ends early. What is whole stays. */
  abort(reason: Error): Promise<void>;
}

export interface CopyProblems {
  /** Of many, the first ones. */
  readonly problems: readonly CopyProblem[];
  readonly count: number;
}
