import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { RuntimeError } from "../../errors/index.ts";

/** Sockets that are another thread's: were they closed here, that would close a descriptor that is somebody else's by then. */
const given = new Set<Socket>();

/**
 * Leaves whatever comes on a connection where it is, for who takes it. Called right after the child was spawned: Node reads on its
 * own from then on.
 *
 * @param index of the child's descriptor, one of its `stdio`
 */
export function leaveUnread(child: ChildProcess, index: number): void {
  const socket = stdioOf(child)[index];
  if (!(socket instanceof Socket)) return;
  handleOf(socket)?.readStop();
  // Nobody reads its end.
  child.once("exit", () => {
    if (!given.has(socket)) socket.destroy();
  });
}

/**
 * Takes our end of a descriptor that a child inherited away from this thread, for another one. Node has no call for that: its
 * sockets know their descriptors, but do not say so, and cannot be told to let go.
 *
 * @param index of the child's descriptor, of which nothing was read: {@link leaveUnread}
 * @returns a descriptor that is the caller's from now on
 * @throws RuntimeError when it was taken before, or the child is gone, or this Node keeps it where nobody finds it
 */
export function takeConnection(child: ChildProcess, index: number): number {
  const streams = stdioOf(child);
  const socket = streams[index];
  const handle = socket instanceof Socket ? handleOf(socket) : null;
  if (!(socket instanceof Socket) || handle === null) {
    throw new RuntimeError("the connection for the host's files could not be taken");
  }
  given.add(socket);
  // At the child's end Node reads out and closes whatever is in this list.
  streams[index] = null;
  socket.unref();
  return handle.fd;
}

/** Node's types do not know that there is none when no descriptor was left for the child. */
function stdioOf(child: ChildProcess): unknown[] {
  const { stdio }: { readonly stdio?: unknown[] } = child as object;
  return stdio ?? [];
}

interface Handle {
  readonly fd: number;
  readStop(): void;
}

function handleOf(socket: Socket): Handle | null {
  const handle: unknown = "_handle" in socket ? socket._handle : null;
  const isHandle =
    typeof handle === "object" &&
    handle !== null &&
    "fd" in handle &&
    typeof handle.fd === "number" &&
    handle.fd >= 0 &&
    "readStop" in handle &&
    typeof handle.readStop === "function";
  return isHandle ? (handle as Handle) : null;
}
