import { isInterrupted, untilExit } from "./output/interrupt.ts";
import { Progress, type ProgressOptions } from "./output/progress.ts";
import { report } from "./output/report.ts";
import { err } from "./output/streams.ts";

/** As many sandboxes or images are worked on at once: enough to overlap waiting, few enough for a small computer. */
const CONCURRENCY = 4;

export interface BulkAction extends ProgressOptions {
  /** While it lasts, on a terminal: `Stopping`. */
  readonly doing: string;
  /** When it is done: `Stopped`. */
  readonly done: string;
  /** What cannot be done for one name is thrown. @returns what was done, where it is something else than `done` */
  act(this: void, name: string, progress: Progress): Promise<string | undefined | void>;
}

/**
 * Does something to each of several sandboxes or images. One that fails does not keep the others from being tried.
 *
 * @returns the exit code: 0 when all succeeded, else 1
 */
export async function forEachName(names: readonly string[], action: BulkAction): Promise<number> {
  const waiting = [...names];
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      if (!(await actOn(name, action, names.length === 1))) failed.push(name);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, names.length) }, worker));
  return failed.length > 0 ? 1 : 0;
}

/** Removes each of several things, one that is named twice once. @returns as {@link forEachName} */
export async function removeEach(
  names: readonly string[],
  output: ProgressOptions,
  remove: (name: string) => Promise<unknown>,
): Promise<number> {
  const act = async (name: string): Promise<void> => {
    await remove(name);
  };
  return await forEachName([...new Set(names)], { ...output, doing: "Removing", done: "Removed", act });
}

async function actOn(name: string, action: BulkAction, alone: boolean): Promise<boolean> {
  const progress = new Progress(action);
  try {
    // Several spinners would fight for one line.
    if (alone) await progress.start(`${action.doing} ${name}`);
    const done = await action.act(name, progress);
    progress.done(done ?? action.done, name);
    return true;
  } catch (error) {
    if (isInterrupted()) return await untilExit();
    progress.failed(action.done, name);
    err(report(error, process.stderr, { stack: action.logLevel === "debug" || action.logLevel === "trace" }));
    return false;
  }
}
