import type { FileServer } from "../../file-server/file-server.ts";
import { ForwardedMount, type ProgramStream } from "../../file-server/forwarded/forwarded-mount.ts";
import type { ServedMount, ServedProvider } from "../../file-server/options.ts";
import type { Machine } from "../../machine/machine.ts";
import { FrameKind } from "../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import type { Stream } from "../../protocol/stream.ts";
import { RuntimeError } from "../../errors/index.ts";
import type { StartContext } from "./context.ts";

type Context = Pick<StartContext, "runtimeLog" | "programFiles">;

/**
 * Passes on what a guest asks of the files that the program provides, as long as its machine runs.
 *
 * @returns the mounts that are the program's, by their numbers
 */
export function forwardFiles(
  context: Context,
  machine: Machine,
  server: FileServer,
  served: readonly ServedMount[],
): ReadonlyMap<number, ForwardedMount> {
  const forwarded = new Map<number, ForwardedMount>();
  for (const [mount, options] of served.entries()) {
    if (options.kind === "provider") forwarded.set(mount, forward(context, server, mount, options));
  }
  if (forwarded.size === 0) return forwarded;
  const mounts = [...forwarded.values()];
  context.programFiles.served({
    hurry: (ms) => {
      for (const mount of mounts) mount.hurry(ms);
    },
  });
  void machine.exited.then(() => {
    for (const mount of mounts) mount.close();
  });
  return forwarded;
}

function forward(
  { runtimeLog, programFiles }: Context,
  server: FileServer,
  mount: number,
  { guest, timeoutMs }: ServedProvider,
): ForwardedMount {
  const forwarded = new ForwardedMount({
    mount,
    timeoutMs,
    answer: (message) => {
      server.answer(mount, message);
    },
    over: (reason) => {
      runtimeLog.write("warn", `what is mounted at ${guest} is no longer provided: ${reason}`);
    },
  });
  const stream = programFiles.open(guest, {
    message: (message) => {
      forwarded.lost(message.type === "Failure" ? message.message : `the program said ${message.type}`);
    },
    data: (_kind, payload) => {
      // An answer may be in parts, and the bytes are lent.
      forwarded.received(Buffer.from(payload));
    },
    credit: () => {
      forwarded.credited();
    },
    ended: () => {
      forwarded.lost("the program sends no more");
    },
    stopSending: () => {
      forwarded.lost("the program reads no more");
    },
    lost: () => {
      forwarded.lost("the program that provided it is gone");
    },
  });
  forwarded.attach(throughStream(stream));
  return forwarded;
}

function throughStream(stream: Stream): ProgramStream {
  return {
    get credit() {
      return Math.min(stream.credit, MAX_DATA_PAYLOAD);
    },
    send: (bytes) => {
      stream.sendData(FrameKind.data, bytes);
    },
    consume: (bytes) => {
      stream.consume(Math.min(bytes, stream.held));
    },
    close: (reason) => {
      stream.abort(new RuntimeError(reason));
    },
  };
}
