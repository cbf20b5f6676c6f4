import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";
import { errorBlock } from "./blocks.ts";
import { err, flush, watchOutput, type OutputFailure } from "./streams.ts";
import type { Styled } from "./style.ts";

/**
 * What to do when `msb` has to end early: SIGINT, SIGTERM, SIGHUP, nobody reads its output any more, or it cannot be written.
 * Commands register what they must undo; the last registered is undone first, then the process exits.
 */

/** A number that it returns, or resolves to, is the exit code that this process ends with. */
type Cleanup = (reason: Interruption) => unknown;

export type Interruption =
  | { readonly kind: "signal"; readonly signal: "SIGINT" | "SIGTERM" | "SIGHUP"; readonly number: number }
  | { readonly kind: "output-closed" }
  | { readonly kind: "output-failed"; readonly failure: OutputFailure };

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const cleanups: Cleanup[] = [];
let interruption: Interruption | null = null;

/** Starts listening. Called once, before a command runs. */
export function watchInterruptions(): void {
  for (const signal of signals) {
    process.on(signal, () => {
      interrupt({ kind: "signal", signal, number: constants.signals[signal] });
    });
  }
  watchOutput((failure) => {
    interrupt(
      failure.error.code === "EPIPE" ? { kind: "output-closed" } : { kind: "output-failed", failure },
    );
  });
}

/** Has `cleanup` called when the process must end early, until the result is disposed of. */
export function onInterruption(cleanup: Cleanup): Disposable {
  cleanups.push(cleanup);
  return {
    [Symbol.dispose]: () => {
      const index = cleanups.lastIndexOf(cleanup);
      if (index !== -1) cleanups.splice(index, 1);
    },
  };
}

/** True from the moment on at which cleaning up began: what fails from then on is a consequence, not news. */
export function isInterrupted(): boolean {
  return interruption !== null;
}

/** Never resolves: the process exits when cleaning up is done. */
export function untilExit(): Promise<never> {
  return new Promise(() => {
    // A promise alone does not keep Node running.
    setInterval(() => undefined, 60_000);
  });
}

function interrupt(reason: Interruption): void {
  if (interruption !== null) {
    // Asked twice: the user does not want to wait for cleaning up. The supervisor ends what this process owns.
    if (reason.kind === "signal") leave(reason);
    return;
  }
  interruption = reason;
  void cleanUp(reason).then((code) => {
    leave(reason, code);
  });
}

/** @returns the exit code that the first of them has given */
async function cleanUp(reason: Interruption): Promise<number | undefined> {
  let code: number | undefined;
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) {
    try {
      const own = await cleanup(reason);
      if (typeof own === "number") code ??= own;
    } catch {
      // The next one still has to be undone, and the exit code already tells that the command was cut off.
    }
  }
  return code;
}

function leave(reason: Interruption, code = exitCodeOf(reason)): never {
  if (process.stdin.isTTY && process.stdin.isRaw) process.stdin.setRawMode(false);
  if (reason.kind === "output-failed") err(outputFailure(reason.failure));
  process.exit(code);
}

function exitCodeOf(reason: Interruption): number {
  switch (reason.kind) {
    case "signal":
      return 128 + reason.number;
    case "output-closed":
      return 128 + constants.signals.SIGPIPE;
    case "output-failed":
      return 1;
  }
}

function outputFailure({ output, error }: OutputFailure): Styled {
  const { code = "", errno } = error;
  const reason = errno === undefined ? error.message : `${getSystemErrorMessage(errno)} (${code})`;
  const full = code === "ENOSPC" || code === "EDQUOT";
  const hints = full ? [`Free some space where ${output} is written to, or send it elsewhere`] : [];
  return errorBlock({ text: `cannot write to ${output}: ${reason}`, hints }, process.stderr);
}

/**
 * Ends the process when all that was printed has been written: with `code`, unless it could not be written, or a signal came.
 */
export async function exitWith(code: number): Promise<never> {
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  // A write that failed is reported in the next turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  if (isInterrupted()) await untilExit();
  // Connections may still be open that would keep Node running; nothing is left to be done on them.
  process.exit(code);
}
