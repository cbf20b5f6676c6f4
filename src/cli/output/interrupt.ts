import { constants } from "node:os";
import { watchOutput } from "./streams.ts";

/**
 * What to do when `msb` has to end early: SIGINT, SIGTERM, SIGHUP, or nobody reads its output any more.
 * Commands register what they must undo; the last registered is undone first, then the process exits.
 */

type Cleanup = (reason: Interruption) => void | Promise<void>;

export type Interruption =
  | { readonly kind: "signal"; readonly signal: "SIGINT" | "SIGTERM" | "SIGHUP"; readonly number: number }
  | { readonly kind: "output-closed" };

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
  watchOutput(() => {
    interrupt({ kind: "output-closed" });
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
  void cleanUp(reason).finally(() => {
    leave(reason);
  });
}

async function cleanUp(reason: Interruption): Promise<void> {
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) {
    try {
      await cleanup(reason);
    } catch {
      // The next one still has to be undone, and the exit code already tells that the command was cut off.
    }
  }
}

function leave(reason: Interruption): never {
  if (process.stdin.isTTY && process.stdin.isRaw) process.stdin.setRawMode(false);
  process.exit(128 + (reason.kind === "signal" ? reason.number : constants.signals.SIGPIPE));
}
