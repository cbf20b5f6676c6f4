import type { JobAttachment } from "../../../api/index.ts";
import { defaultDetachKeys, DetachKeyFilter, parseDetachKeys } from "../../../api/exec/detach-keys.ts";
import { enterRawMode, hostTerminal, terminalSize } from "../../../api/exec/terminal.ts";

/**
 * Gives a job this terminal: raw mode, typed bytes in, size changes, and detach keys, which end the attachment.
 *
 * @returns puts the terminal back
 * @throws TerminalError, InvalidConfigError
 */
export function connectTerminal(attachment: JobAttachment, detachKeys = defaultDetachKeys): Disposable {
  const filter = new DetachKeyFilter(parseDetachKeys(detachKeys));
  const { input } = hostTerminal();
  const restore = enterRawMode(input);
  const resize = (): void => {
    const { rows, cols } = terminalSize();
    // One that has ended meanwhile has no size.
    attachment.resize(rows, cols).catch(() => undefined);
  };
  const onTyped = (typed: Buffer): void => {
    const { forward, detached } = filter.push(typed);
    // Its connection may be lost, which whoever reads is told.
    if (forward.length > 0) attachment.writeStdin(forward).catch(() => undefined);
    if (detached) void attachment.detach();
  };
  const over = (): void => {
    process.off("SIGWINCH", resize);
    process.off("exit", restore);
    input.off("data", onTyped);
    input.pause();
    restore();
  };
  process.once("exit", restore);
  process.on("SIGWINCH", resize);
  input.on("data", onTyped);
  input.resume();
  resize();
  return { [Symbol.dispose]: over };
}

/** Passes on what this process reads, as it comes, while the job takes it. @returns stops that */
export function forwardInput(attachment: JobAttachment, isWanted: boolean): Disposable {
  const { stdin } = process;
  const forward = async (): Promise<void> => {
    for await (const chunk of stdin) await attachment.writeStdin(chunk as Uint8Array);
  };
  // What cannot be read, or written, ends it: the job's output goes on.
  if (isWanted) forward().catch(() => undefined);
  return {
    [Symbol.dispose]: () => {
      if (isWanted) stdin.destroy();
    },
  };
}
