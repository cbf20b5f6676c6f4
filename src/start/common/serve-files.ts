import { FileServer, requireOpenable } from "../../file-server/file-server.ts";
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
 * Serves what a guest is to find of the host's files, and passes on what it asks of those that the program provides, as long as its
 * machine runs. The guest does not wait for it before it is used.
 *
 * @param booted what the agent answers
 * @throws IoError when one of them cannot be opened; whatever `booted` does
 */
export async function servedWhile(
  context: Context,
  machine: Machine,
  served: readonly ServedMount[],
  booted: Promise<void>,
): Promise<void> {
  await Promise.all([booted, serve(context, machine, served)]);
}

async function serve(context: Context, machine: Machine, served: readonly ServedMount[]): Promise<void> {
  if (served.length === 0) return;
  const forwarded = new Map<number, ForwardedMount>();
  const server = new FileServer(machine.takeFilesPort(), served, {
    over: (reason) => {
      context.runtimeLog.write("warn", `the host's files are no longer served to the guest: ${reason}`);
    },
    request: (mount, message) => forwarded.get(mount)?.request(message),
    written: (mount, bytes) => forwarded.get(mount)?.written(bytes),
  });
  for (const [mount, options] of served.entries()) {
    if (options.kind === "provider") forwarded.set(mount, forward(context, server, mount, options));
  }
  if (forwarded.size > 0) {
    const mounts = [...forwarded.values()];
    context.programFiles.served({
      hurry: (ms) => {
        for (const mount of mounts) mount.hurry(ms);
      },
    });
    void machine.exited.then(() => {
      for (const mount of mounts) mount.close();
    });
  }
  await requireOpenable(served);
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
      forwarded.received(payload);
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
