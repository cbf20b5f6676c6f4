import { spawnSync } from "node:child_process";
import type { ReadStream, WriteStream } from "node:tty";
import { TerminalError } from "../../errors/index.ts";
import type { TerminalSize } from "./exec-request.ts";

/** The terminal of this process. */
export interface HostTerminal {
  readonly input: ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly size: TerminalSize;
}

/** @throws TerminalError when standard input is none */
export function hostTerminal(): HostTerminal {
  if (!process.stdin.isTTY) {
    throw new TerminalError("standard input is not a terminal", {
      hint: "Run it from a terminal, or use exec() for a command without one.",
    });
  }
  return { input: process.stdin, output: process.stdout, size: terminalSize() };
}

/** Standard output may be a file while standard input is the terminal. */
export function terminalSize(): TerminalSize {
  const stream = [process.stdout, process.stderr].find((candidate) => candidate.isTTY) as
    WriteStream | undefined;
  // A terminal that nobody gave a size says 0.
  return { rows: stream?.rows || 24, cols: stream?.columns || 80 };
}

/**
 * Hands every key to the program and every output byte to the terminal as it is.
 *
 * @returns puts the terminal back as it was; it may be called at process exit
 * @throws TerminalError
 */
export function enterRawMode(input: ReadStream): () => void {
  const wasRaw = input.isRaw;
  try {
    input.setRawMode(true);
  } catch (error) {
    throw new TerminalError("the terminal refused raw mode", { cause: error });
  }
  // Node's raw mode leaves output processing on. The guest's terminal has turned a line feed into CR LF already; a second
  // time would break every program that draws on the screen. stty(1) is POSIX.
  setOutputProcessing(false);
  return () => {
    try {
      if (wasRaw) setOutputProcessing(true);
      else input.setRawMode(false);
    } catch {
      // A terminal that was hung up cannot be restored, and need not be.
    }
  };
}

/** Of the terminal that is standard input. */
function setOutputProcessing(enabled: boolean): void {
  spawnSync("stty", [enabled ? "opost" : "-opost"], { stdio: ["inherit", "ignore", "ignore"] });
}
