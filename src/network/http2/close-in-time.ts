import type { Http2Session } from "node:http2";
import type { Duplex } from "node:stream";

/** In ms: as long may one side take nothing of what is left for it, or not close, once the other is over. */
const lingerMs = 60_000;

/**
 * Ends one side when the other is over: it is told what is left for it, and broken off when it does not take that, or does not close.
 * Without a limit, a server that never closes would hold on to a connection that its guest has forgotten.
 */
export function closeInTime(session: Http2Session, socket: Duplex): void {
  if (socket.closed) return;
  session.close();
  let before = takenBy(session);
  const timer = setInterval(() => {
    const now = takenBy(session);
    if (now !== null && now !== before) {
      before = now;
      return;
    }
    session.destroy();
    socket.destroy();
  }, lingerMs);
  timer.unref();
  socket.once("close", () => clearInterval(timer));
}

/** Changes with what the other end takes; null: everything was said. */
function takenBy(session: Http2Session): string | null {
  if (session.destroyed) return null;
  const { remoteWindowSize, outboundQueueSize } = session.state;
  return `${remoteWindowSize} ${outboundQueueSize}`;
}
