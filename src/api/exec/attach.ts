import { firstEvent } from "../../host/first-event.ts";
import type { Operation } from "../../host/operation.ts";
import { DetachKeyFilter } from "./detach-keys.ts";
import { enterRawMode, terminalSize, type HostTerminal } from "./terminal.ts";

/** What a terminal is connected with; an ExecHandle is one. */
export interface AttachedCommand extends AsyncIterable<
  | { readonly kind: "started" }
  | { readonly kind: "stdout" | "stderr"; readonly data: Buffer }
  | { readonly kind: "exited"; readonly code: number }
> {
  takeStdin(): { write(data: Uint8Array): Promise<void> } | null;
  resize(rows: number, cols: number): Promise<void>;
  /** Leaves it running. */
  release(): Promise<void>;
  abandon(): void;
  wait(): Promise<{ readonly code: number }>;
}

/** TERM for a command on a terminal: the host's, unless it has none worth the name. */
export function guestTerminalType(): string {
  const type = process.env["TERM"];
  return type === undefined || type === "" || type === "dumb" ? "xterm" : type;
}

/**
 * Connects the caller's terminal with a command: raw mode, typed bytes in, output out, size changes, detach keys. The
 * terminal is put back however this ends.
 *
 * @param operation given up, the command is killed; unless the detach keys were pressed before
 * @param start starts the command once the terminal is ready
 * @returns the exit code; -1 when the detach keys were pressed, the command then goes on
 */
export async function attachToTerminal(
  operation: Operation,
  terminal: HostTerminal,
  detachKeys: Buffer,
  start: () => AttachedCommand,
): Promise<number> {
  const { input, output } = terminal;
  const wasPaused = input.isPaused();
  const restore = enterRawMode(input);
  let handle: AttachedCommand | null = null;
  let isDetached = false;
  const filter = new DetachKeyFilter(detachKeys);
  const detached = Promise.withResolvers<"detached">();
  const onTyped = (typed: Buffer): void => {
    const { forward, detached: complete } = filter.push(typed);
    if (forward.length > 0) void sink?.write(forward);
    if (complete) detached.resolve("detached");
  };
  const onResize = (): void => {
    const { rows, cols } = terminalSize();
    void handle?.resize(rows, cols);
  };
  let sink: ReturnType<AttachedCommand["takeStdin"]> = null;
  process.once("exit", restore);
  process.on("SIGWINCH", onResize);
  try {
    handle = start();
    sink = handle.takeStdin();
    input.on("data", onTyped);
    input.resume();
    // The window may have changed between the question for its size and now.
    onResize();
    const outcome = await operation.wait(Promise.race([pump(handle, output), detached.promise]));
    if (outcome !== "detached") return outcome;
    isDetached = true;
    await operation.wait(handle.release());
    return -1;
  } catch (error) {
    if (operation.signal.aborted && !isDetached) handle?.abandon();
    throw error;
  } finally {
    process.off("SIGWINCH", onResize);
    process.off("exit", restore);
    input.off("data", onTyped);
    if (wasPaused || !input.isRaw) input.pause();
    restore();
  }
}

async function pump(handle: AttachedCommand, output: NodeJS.WriteStream): Promise<number> {
  for await (const event of handle) {
    if (event.kind === "exited") return event.code;
    if (event.kind === "started") continue;
    // A terminal that is held with Ctrl-S must hold the command too.
    if (!output.write(event.data)) await firstEvent(output, ["drain", "close"]);
  }
  return (await handle.wait()).code;
}
