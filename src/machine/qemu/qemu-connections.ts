import type { ChildProcess } from "node:child_process";
import { Duplex, PassThrough, type Readable, type Writable } from "node:stream";
import { RuntimeError } from "../../errors/index.ts";
import { firstEvent } from "../../host/first-event.ts";
import type { Tail } from "../../host/files/tail.ts";
import { watcherFd, watcherRelease } from "./lifeline.ts";

/** Node's types end at the fifth. */
function streamsOf(child: ChildProcess): readonly (Readable | Writable | null | undefined)[] {
  return child.stdio;
}

/** Our end of a descriptor that the child inherited; Node makes these socket pairs, open both ways. null: it has none. */
export function portOf(child: ChildProcess, fd: number): Duplex | null {
  const stream = streamsOf(child)[fd];
  return stream instanceof Duplex ? stream : null;
}

/** The same, of one that it must have. @throws RuntimeError */
export function connection(child: ChildProcess, fd: number): Duplex {
  const port = portOf(child, fd);
  if (port !== null) return port;
  throw new RuntimeError("QEMU's connections could not be created");
}

/** Lets the watcher go before QEMU's pid can belong to another process. */
export function releaseWatcher(child: ChildProcess): void {
  const pipe = streamsOf(child)[watcherFd];
  if (!(pipe instanceof Duplex)) return;
  pipe.on("error", () => undefined);
  pipe.end(watcherRelease);
}

/** What the guest writes to its console, whose end is kept as well. Ends with the connection. */
export function teeConsole(socket: Duplex, tail: Tail): Readable {
  const output = new PassThrough();
  socket.on("data", (chunk: Buffer) => {
    tail.push(chunk);
    if (output.write(chunk)) return;
    socket.pause();
    output.once("drain", () => socket.resume());
  });
  socket.on("error", () => output.end());
  socket.on("close", () => output.end());
  socket.on("end", () => output.end());
  // A QEMU that was adopted may be gone already, and its connections with it.
  if (socket.destroyed || socket.readableEnded) output.end();
  return output;
}

/** Resolves when nothing more comes. */
export async function ended(stream: Readable | null): Promise<void> {
  if (stream === null || stream.readableEnded || stream.destroyed) return;
  await firstEvent(stream, ["end", "close"]);
}
