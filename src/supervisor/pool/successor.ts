import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { dirname } from "node:path";

/** Starts another member of the same pool. It ends at once where there are enough, and goes on after this process. */
export function spawnSuccessor(log: string): void {
  let logFd: number;
  try {
    logFd = openSync(log, "a", 0o600);
  } catch {
    // The pool was removed.
    return;
  }
  try {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      detached: true,
      cwd: dirname(log),
      stdio: ["ignore", "ignore", logFd],
    });
    // What cannot be started now is by whoever takes the next one.
    child.on("error", () => undefined);
    child.unref();
  } finally {
    closeSync(logFd);
  }
}
