import type { GuestFlush } from "../../config/enums.ts";
import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { HeldDisk } from "../../store/snapshots/held-disk.ts";
import type { SupervisorConnection } from "../control/connection.ts";

/** Has a sandbox's disk held for as long as the stream is open: with this process it ends too. @throws as `HoldDisk` says */
export async function holdDisk(
  connection: Pick<SupervisorConnection, "open">,
  flush: GuestFlush,
  signal: AbortSignal,
): Promise<HeldDisk> {
  const held = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  const lost = new AbortController();
  const fail = (error: Error): void => {
    held.reject(error);
    done.reject(error);
    lost.abort(error);
  };
  done.promise.catch(() => undefined);
  let isReleased = false;
  const stream = connection.open(
    { type: "HoldDisk", flush },
    {
      message: (message) => {
        if (message.type === "DiskHeld") held.resolve();
        else if (message.type === "Done" && isReleased) done.resolve();
        else fail(whyNot(message));
      },
      data: () => undefined,
      lost: fail,
    },
  );
  const giveUp = (): void => {
    stream.abort(new RuntimeError("nobody copies the disk any more"));
  };
  try {
    await unlessAborted(held.promise, signal);
  } catch (error) {
    giveUp();
    throw error;
  }
  return {
    signal: lost.signal,
    release: async () => {
      isReleased = true;
      stream.send({ type: "ReleaseDisk" });
      await unlessAborted(done.promise, signal);
    },
    [Symbol.dispose]: giveUp,
  };
}

function whyNot(message: Message): Error {
  return message.type === "Failure"
    ? decodeFailure(message)
    : new ProtocolError(`the supervisor sent ${message.type} about a disk that it holds`);
}
