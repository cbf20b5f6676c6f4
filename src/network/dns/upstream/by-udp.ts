import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Answer } from "../message/answer.ts";
import { NoAnswer, type Attempt } from "./server.ts";

/**
 * Asks by UDP, from a port of its own that the kernel chooses at random (RFC 5452, 10). The socket is connected: what comes from any
 * other address or port, the kernel drops; when nobody listens there, it says so at once.
 *
 * @throws NoAnswer
 */
export async function askByUdp({
  server,
  message,
  read,
  timeoutMs,
  signal,
  again,
}: Attempt): Promise<Answer> {
  const family = isIPv6(server.host) ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    // It is an address already. Node's own look-up is done in a thread, and there are few.
    lookup: (host, _options, callback) => callback(null, host, family),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const aborted = (): void => reject(new NoAnswer("given up", { isGivenUp: true }));
  const timer = setTimeout(() => reject(new NoAnswer("timeout")), timeoutMs);
  signal.addEventListener("abort", aborted, { once: true });
  socket.on("error", (cause) => reject(new NoAnswer(cause.message, { cause })));
  socket.on("message", (bytes) => {
    const answer = read(bytes);
    if (answer !== null) resolve(answer);
  });
  const send = (): void => {
    socket.send(message, (cause) => {
      if (cause !== null) reject(new NoAnswer(cause.message, { cause }));
    });
  };
  let isOver = false;
  // It is called with an error as well, and when the socket was closed meanwhile: what it throws would end the process.
  const connected = (cause?: unknown): void => {
    if (cause instanceof Error) reject(new NoAnswer(cause.message, { cause }));
    else if (!isOver) {
      again.add(send);
      send();
    }
  };
  try {
    if (signal.aborted) aborted();
    else socket.connect(server.port, server.host, connected);
    return await promise;
  } finally {
    isOver = true;
    clearTimeout(timer);
    again.delete(send);
    signal.removeEventListener("abort", aborted);
    socket.close();
  }
}
