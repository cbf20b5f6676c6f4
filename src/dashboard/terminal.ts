import * as v from "valibot";
import type { RawData, WebSocket } from "ws";
import { Sandbox, type ExecHandle, type ExecSink } from "../api/index.ts";
import { failureOf } from "./failure.ts";
import { Pace } from "./live/pace.ts";

const size = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000));
const opening = v.strictObject({ sandbox: v.string(), rows: size, cols: size });
const resizing = v.strictObject({ rows: size, cols: size });
/** How long a page may take to say what it wants, ms. */
const openingMs = 10_000;

/**
 * Runs the sandbox's shell on a terminal that is in the page. The first message says in which sandbox, as JSON; after that text messages
 * are new sizes, bytes are what is typed and what is printed. The last message says why it is over.
 */
export function serveTerminal(socket: WebSocket): void {
  const gone = new AbortController();
  const late = setTimeout(() => socket.terminate(), openingMs);
  let running: Promise<Running | null> | null = null;
  socket.on("close", () => {
    clearTimeout(late);
    gone.abort(new Error("the page has closed the terminal"));
    void running?.then((shell) => shell?.handle.kill().catch(() => undefined));
  });
  socket.on("message", (data, isBinary) => {
    if (running === null) {
      clearTimeout(late);
      running = run(socket, textOf(data), gone.signal);
      return;
    }
    // Not more is taken from the page than the guest reads.
    socket.pause();
    void running
      .then((shell) => (shell === null ? undefined : take(shell, data, isBinary)))
      .catch(() => undefined)
      .finally(() => {
        socket.resume();
      });
  });
}

interface Running {
  readonly handle: ExecHandle;
  readonly stdin: ExecSink | null;
}

async function take({ handle, stdin }: Running, data: RawData, isBinary: boolean): Promise<void> {
  if (isBinary) {
    await stdin?.write(bytesOf(data));
    return;
  }
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), resizing), textOf(data));
  if (parsed.success) await handle.resize(parsed.output.rows, parsed.output.cols);
}

async function run(socket: WebSocket, first: string, signal: AbortSignal): Promise<Running | null> {
  try {
    const { sandbox: name, rows, cols } = v.parse(v.pipe(v.string(), v.parseJson(), opening), first);
    const handle = await Sandbox.get(name, { signal });
    const sandbox = await handle.connect({ signal });
    try {
      const shell = await sandbox.execStreamWith(
        sandbox.config.shell ?? "/bin/sh",
        (options) => options.tty(true).stdinPipe().env("TERM", "xterm-256color"),
        { signal },
      );
      await shell.resize(rows, cols);
      void print(socket, shell).finally(() => sandbox[Symbol.asyncDispose]());
      return { handle: shell, stdin: shell.takeStdin() };
    } catch (error) {
      await sandbox[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    end(socket, { error: failureOf(error) });
    return null;
  }
}

async function print(socket: WebSocket, shell: ExecHandle): Promise<void> {
  const pace = new Pace(socket);
  let code: number | null = null;
  try {
    for (let event = await shell.recv(); event !== null; event = await shell.recv()) {
      if (event.kind === "exited") code = event.code;
      if (event.kind !== "stdout" && event.kind !== "stderr") continue;
      if (socket.readyState === socket.OPEN) socket.send(event.data, { binary: true });
      await pace.ready();
    }
    end(socket, { code });
  } catch (error) {
    end(socket, { error: failureOf(error) });
  }
}

function end(socket: WebSocket, last: object): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(last));
  socket.close(1000);
}

function textOf(data: RawData): string {
  return bytesOf(data).toString("utf8");
}

function bytesOf(data: RawData): Buffer {
  return Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
