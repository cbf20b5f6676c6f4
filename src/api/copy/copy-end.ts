import type { TreeEvent } from "../../host/tree/tree.ts";
import type { FileProblem } from "../../protocol/generated/messages.ts";
import type { VoidedFile } from "../fs/copy/receive-tree.ts";
import type { LinkEvent } from "../fs/copy/tree-sender.ts";
import type { CopyProblem, CopyProblems } from "./copy-problem.ts";

/** What a copy goes through. A file that is void is the sink's to report. */
export type CopyEvent = TreeEvent | VoidedFile;

/** Where a copy comes from: a tree whose first event is its root. */
export interface CopySource {
  read(signal: AbortSignal): AsyncGenerator<readonly (CopyEvent | LinkEvent)[], void, undefined>;
  /** What could not be read, when all else was. */
  readonly problems: CopyProblems;
}

/** Where a copy goes. Whatever becomes of it, nothing is under its final name before it is whole. */
export interface CopySink<Event extends CopyEvent | LinkEvent = CopyEvent> {
  /** Rejects when it has failed, whether or not anything is being written; else it stays as it is. */
  readonly failed?: Promise<never> | undefined;
  /** Takes what comes next; resolves when there is room for more. The bytes are the caller's again then. */
  write(events: readonly Event[]): Promise<void>;
  /** Passes on what it has gathered: what comes next is long in coming. */
  flush?(): Promise<void>;
  /** Waits until all is there. @returns what is not */
  finish(): Promise<CopyProblems>;
  /** Ends early. What is whole stays. Never throws: there is an error already. */
  abort(reason: Error): Promise<void>;
}

/** What the guest says of an entry, for people. */
export function problemOf({ path, operation, message }: FileProblem): CopyProblem {
  return { path, message: `${operation}: ${message}` };
}
