import { encodeFailure } from "../../protocol/failure.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { violation } from "../../protocol/violation.ts";
import type { Job } from "./job.ts";

const SIGKILL = 9;

/** Tells whoever has asked for a job that it runs, or why it does not. Who has given up does not know its name: it is killed. */
export function answerWithStart(job: Job, client: Stream): StreamHandler {
  const tell = async (): Promise<void> => {
    try {
      const { failed } = await job.started();
      const { id, pid } = job.record;
      client.send(failed ?? { type: "JobStarted", id, pid });
    } catch (error) {
      client.send(encodeFailure(error));
    }
  };
  void tell();
  return {
    message: ({ type }) => {
      throw violation(`${type} from one who waits for a start`);
    },
    data: () => {
      throw violation("input from one who waits for a start");
    },
    aborted: () => {
      job.signal(SIGKILL);
    },
    // A job outlives its client, also the one who does not hear of its start any more.
    lost: () => undefined,
  };
}
