import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { decodeFailure } from "../../protocol/failure.ts";
import type { EndedMessage, SandboxState } from "../../protocol/generated/messages.ts";
import type { SupervisorConnection } from "../control/connection.ts";

/**
 * Watches the state of a sandbox that runs.
 *
 * @param enough whether this state ends the wait
 * @returns how the sandbox ended; null when it was in a state that is enough before that
 * @throws what the supervisor answers; RuntimeError, ProtocolError when the connection was lost
 */
export function watchState(
  connection: SupervisorConnection,
  enough: (state: SandboxState) => boolean,
): Promise<EndedMessage | null> {
  return new Promise((resolve, reject) => {
    const stream = connection.open(
      { type: "WatchState" },
      {
        message: (message) => {
          if (message.type === "Ended") resolve(message);
          else if (message.type === "Failure") reject(decodeFailure(message));
          else if (message.type !== "StateChanged")
            throw new ProtocolError(`the supervisor sent ${message.type} as a state`);
          else if (!enough(message.state)) stream.send({ type: "Next" });
          else {
            stream.abort(new RuntimeError("nobody waits for the state any more"));
            resolve(null);
          }
        },
        data: () => undefined,
        lost: reject,
      },
    );
  });
}
