import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { RuntimeError } from "../../errors/index.ts";

/** Sockets that are another thread's: were they closed here, that would close a descriptor that is somebody else's by then. */
const given = new Set<Socket>();

/**
 * Takes our end of a descriptor that a child inherited away from this thread, for another one. Node has no call for that: its
 * sockets know their descriptors, but do not say so, and cannot be told to let go.
 *
 * @param index of the child's descriptor, one of its `stdio`
 * @throws RuntimeError when it is none any more, or this Node keeps it where nobody finds it
 */
export function takeConnection(child: ChildProcess, index: number): number {
  const streams = child.stdio as unknown[];
  const socket = streams[index];
  const handle = socket instanceof Socket ? handleOf(socket) : null;
  if (!(socket instanceof Socket) || handle === null) {
    throw new RuntimeError("the connection for the host's files could not be taken");
  }
  // Nothing has come on it: the guest does not speak there before it was told to.
  handle.readStop();
  given.add(socket);
  // At the child's end Node reads out and closes whatever is in this list.
  streams[index] = null;
  socket.unref();
  return handle.fd;
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
