import type { ReadStream, WriteStream } from "node:tty";
import { TerminalError } from "../errors/index.ts";
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
  return { rows: stream?.rows ?? 24, cols: stream?.columns ?? 80 };
}
