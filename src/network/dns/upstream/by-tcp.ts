import { connect } from "node:net";
import type { Answer } from "../message/answer.ts";
import { DnsFrames, framed } from "../message/frames.ts";
import { NoAnswer, type Attempt } from "./server.ts";

/**
 * Asks by TCP, on a connection of its own.
 *
 * @throws NoAnswer
 */
export async function askByTcp({ server, message, read, timeoutMs, signal }: Attempt): Promise<Answer> {
  if (signal.aborted) throw new NoAnswer("given up", { isGivenUp: true });
  const socket = connect({ host: server.host, port: server.port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const aborted = (): void => reject(new NoAnswer("given up", { isGivenUp: true }));
  const timer = setTimeout(() => reject(new NoAnswer("timeout")), timeoutMs);
  signal.addEventListener("abort", aborted, { once: true });
  const frames = new DnsFrames();
  socket.on("error", (cause) => reject(new NoAnswer(cause.message, { cause })));
  socket.on("close", () => reject(new NoAnswer("the server closed the connection")));
  socket.on("data", (bytes) => {
    for (const frame of frames.push(bytes) ?? []) {
      const answer = read(frame);
      if (answer !== null) resolve(answer);
    }
  });
  try {
    socket.write(framed(message));
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", aborted);
    socket.destroy();
  }
}
