import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { EndedMessage, SandboxState } from "../../protocol/generated/messages.ts";
import type { SupervisorConnection } from "../control/connection.ts";

/**
 * Watches the state of a sandbox that runs.
 *
 * @param enough whether this state ends the wait
 * @param signal aborted when nobody waits any more
 * @returns how the sandbox ended; null when it was in a state that is enough before that
 * @throws what the supervisor answers; RuntimeError, ProtocolError when the connection was lost; the signal's reason
 */
export async function watchState(
  connection: Pick<SupervisorConnection, "subscribe" | "hold">,
  enough: (state: SandboxState) => boolean,
  signal: AbortSignal,
): Promise<EndedMessage | null> {
  const { promise, resolve, reject } = Promise.withResolvers<EndedMessage | null>();
  const release = connection.hold();
  try {
    const stream = connection.subscribe(
      { type: "WatchState" },
      {
        message: (message) => {
          if (message.type === "Ended") resolve(message);
          else if (message.type === "Failure") reject(decodeFailure(message));
          else if (message.type !== "StateChanged")
            throw new ProtocolError(`the supervisor sent ${message.type} as a state`);
          else if (enough(message.state)) resolve(null);
          else stream.send({ type: "Next" });
        },
        data: () => undefined,
        lost: reject,
      },
    );
    try {
      return await unlessAborted(promise, signal);
    } finally {
      stream.abort(new RuntimeError("nobody waits for the state any more"));
    }
  } finally {
    release();
  }
}
