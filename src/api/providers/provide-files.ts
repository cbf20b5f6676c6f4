import type { GivenProvider } from "../../config/mounts/given-provider.ts";
import { isProviderMount, type Providers } from "../../config/mounts/provider-mounts.ts";
import type { ProviderMount, VolumeMount } from "../../config/mounts/volume-mount.ts";
import { InvalidConfigError, ProtocolError } from "../../errors/index.ts";
import { isWritable, type ProviderFailure } from "../../provider/file-provider.ts";
import { ProviderServer } from "../../provider/fuse/provider-server.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import { FrameKind } from "../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../protocol/generated/limits.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";

/** Serves what a supervisor asks for on a stream that it opens. */
export type ProvideFiles = (stream: Stream, opening: Message) => StreamHandler;

const nobody: StreamHandler = {
  message: () => undefined,
  data: () => undefined,
  lost: () => undefined,
};

/** What this program provides to a sandbox, as its connection needs it. */
export function provideFiles(mounts: readonly VolumeMount[], providers: Providers): ProvideFiles {
  return (stream, opening) => {
    const path = opening.type === "ProvideFiles" ? opening.path : "";
    const mount = mounts.filter(isProviderMount).find(({ guest }) => guest === path);
    const provider = providers.get(path);
    if (mount === undefined || provider === undefined) {
      stream.send(encodeFailure(new InvalidConfigError(`nothing is provided at ${path}`)));
      return nobody;
    }
    return serveOn(stream, mount, provider);
  };
}

function serveOn(stream: Stream, mount: ProviderMount, { files, onError }: GivenProvider): StreamHandler {
  const outgoing = new Outgoing(stream);
  const { guest, timeoutMs, cacheMs, overrideUid, overrideGid } = mount;
  const hasOwner = overrideUid !== undefined || overrideGid !== undefined;
  const server = new ProviderServer(
    files,
    {
      ...{ guest, timeoutMs, cacheMs },
      readOnly: mount.readonly || !isWritable(files),
      owner: hasOwner ? { uid: overrideUid ?? 0, gid: overrideGid ?? 0 } : null,
      onError: teller(onError),
    },
    {
      get unsent() {
        return outgoing.bytes;
      },
      answer: (message) => {
        outgoing.send(message);
      },
      consume: (bytes) => {
        stream.consume(bytes);
      },
    },
  );
  return {
    // The service has no messages.
    message: () => undefined,
    data: (_kind, payload) => {
      try {
        // What is asked outlives the call, and the bytes are lent.
        server.receive(Buffer.from(payload));
      } catch (error) {
        // What is no message has no answer, and nothing after it can be told from it.
        server.close();
        const reason = error instanceof Error ? error.message : String(error);
        stream.send(encodeFailure(new ProtocolError(`the guest has sent ${reason} for ${guest}`)));
      }
    },
    credit: () => {
      outgoing.pump();
      server.resume();
    },
    aborted: () => {
      server.close();
    },
    ended: () => {
      server.close();
    },
    lost: () => {
      server.close();
    },
  };
}

/** Whoever gave the provider hears of all; without him the first is a warning. */
function teller(
  onError: ((error: Error, failure: ProviderFailure) => void) | null,
): (error: Error, failure: ProviderFailure) => void {
  let isTold = false;
  const warn = (error: unknown, { operation, path, mount }: ProviderFailure): void => {
    if (isTold) return;
    isTold = true;
    const where = path === "" ? mount : `${mount}: ${path}`;
    const why = error instanceof Error ? error.message : String(error);
    process.emitWarning(`a provider failed (${operation}, ${where}): ${why}`, "MicrosandboxWarning");
  };
  if (onError === null) return warn;
  return (error, failure) => {
    try {
      onError(error, failure);
    } catch (thrown) {
      // It is the guest's request that brought us here, and nobody's call that could fail.
      warn(thrown, failure);
    }
  };
}

/** Answers on their way, as fast as the supervisor takes them. Nothing is begun while much waits here. */
class Outgoing {
  readonly #stream: Stream;
  readonly #queue: Buffer[] = [];
  /** How much waits. */
  bytes = 0;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  send(message: Buffer): void {
    this.#queue.push(message);
    this.bytes += message.length;
    this.pump();
  }

  pump(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const count = Math.min(first.length, this.#stream.credit, MAX_DATA_PAYLOAD);
      if (count === 0) return;
      // Before it is sent, which may bring more credit at once.
      if (count === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(count);
      this.bytes -= count;
      this.#stream.sendData(FrameKind.data, first.subarray(0, count));
    }
  }
}
