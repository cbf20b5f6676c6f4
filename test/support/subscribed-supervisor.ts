import { duplexPair } from "node:stream";
import { SupervisorConnection } from "../../src/api/control/connection.ts";
import type { BorrowedConnection } from "../../src/api/control/sandbox-link.ts";
import type { Message } from "../../src/protocol/generated/messages.ts";
import type { Stream } from "../../src/protocol/stream.ts";
import { Streams } from "../../src/protocol/streams.ts";

/** The other end of a subscriber's connection. */
export interface SubscribedSupervisor {
  /** What was asked, in order. */
  readonly asked: Message[];
  readonly streams: Stream[];
  /** What became of streams: `aborted` or `lost`. */
  readonly ends: string[];
  borrow: () => Promise<BorrowedConnection>;
  /** How often the connection was borrowed and not given back. */
  borrowed: () => number;
  /** How many keep the program alive. */
  holders: () => number;
}

/**
 * @param answer what the supervisor does about each message, the opening one too
 * @param ended what it does about the data of a stream, when all of it is there
 */
export function subscribedSupervisor(
  answer: (stream: Stream, message: Message, asked: number) => void,
  ended?: (stream: Stream, data: Buffer) => void,
): SubscribedSupervisor {
  const [near, far] = duplexPair();
  const asked: Message[] = [];
  const streams: Stream[] = [];
  const ends: string[] = [];
  const hear = (stream: Stream, message: Message): void => {
    asked.push(message);
    answer(stream, message, asked.length);
  };
  new Streams(
    far,
    { incoming: "client→supervisor" },
    {
      message: () => undefined,
      accept: (stream, opening) => {
        streams.push(stream);
        const data: Buffer[] = [];
        queueMicrotask(() => {
          hear(stream, opening);
        });
        return {
          message: (message) => {
            hear(stream, message);
          },
          data: (_kind, payload) => {
            data.push(Buffer.from(payload));
            stream.consume(payload.length);
          },
          ended: () => ended?.(stream, Buffer.concat(data)),
          aborted: () => ends.push("aborted"),
          lost: () => ends.push("lost"),
        };
      },
      reason: () => new Error("closed"),
      closed: () => undefined,
    },
  );
  const connection = SupervisorConnection.inherited(near, {
    message: () => undefined,
    lost: () => undefined,
  });
  const hold = connection.hold.bind(connection);
  let holders = 0;
  connection.hold = () => {
    const release = hold();
    holders++;
    return () => {
      holders--;
      release();
    };
  };
  let borrowed = 0;
  const borrow = (): Promise<BorrowedConnection> => {
    borrowed++;
    return Promise.resolve({ connection, [Symbol.dispose]: () => borrowed-- });
  };
  return { asked, streams, ends, borrow, borrowed: () => borrowed, holders: () => holders };
}
