import { createConnection, Socket, type SocketConstructorOpts, type TcpNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";

/**
 * Sockets that are read with one buffer, the same for all of them. Node gives each read of at most 64 KiB a buffer of its own, outside
 * of V8's heap, and V8 looks for those that nobody needs any more when there are some 64 MiB of them, with a collection of all its heap.
 * Through a relay of frames of 64 KiB, 64 MiB cost 25 ms of the processor instead of 85, and half the memory.
 *
 * Node offers this for sockets that it connects (`onread` of `net.Socket`), and not for those that it accepts or makes for a child.
 * Of these the handle is put into another socket; where this Node keeps it elsewhere, they are read as ever.
 */

/** More than a unix socket holds by default on Linux. */
const bufferBytes = 256 * 1024;

/** A read is passed on before the next one begins, on whichever socket (`uv__read`, libuv). */
let buffer: Buffer | null = null;

type Take = (bytes: Buffer) => void;

/** What becomes of what is read; null until somebody takes it. */
interface Reader {
  take: Take | null;
  /** What came before. */
  early: Buffer[];
}

const readers = new WeakMap<Duplex, Reader>();

/**
 * A socket in the place of this one, which is nobody's from now on, that is read with the shared buffer. What was read already is not
 * lost. Where that cannot be done, the same socket.
 */
export function withSharedBuffer(socket: Duplex): Duplex {
  return withReadBuffer(socket, sharedBuffer());
}

/** As {@link withSharedBuffer}, with a buffer that is for this socket alone. */
export function withReadBuffer(socket: Duplex, into: Buffer): Duplex {
  const old = socket as Duplex & { _handle?: object | null };
  if (!(socket instanceof Socket) || socket.connecting || socket.destroyed || socket.readableEnded)
    return socket;
  const handle = old._handle;
  if (typeof handle !== "object" || handle === null || socket.writableLength > 0) return socket;
  const early = readers.get(socket)?.early.splice(0) ?? [];
  if (socket.readableLength > 0) early.push(socket.read() as Buffer);
  const reader: Reader = { take: null, early };
  old._handle = null;
  const { allowHalfOpen } = socket;
  const made = new Socket({ handle, allowHalfOpen, ...onRead(reader, into) } as SocketConstructorOpts);
  readers.set(made, reader);
  // Whoever counts its connections, or waits for it, goes by the old one.
  made.once("close", () => socket.destroy());
  return made;
}

/** Connects to a unix socket, or as asked for, to be read with the shared buffer. */
export function connectWithSharedBuffer(to: string | TcpNetConnectOpts): Socket {
  const reader: Reader = { take: null, early: [] };
  const where = typeof to === "string" ? { path: to } : to;
  const socket = createConnection({ ...where, ...onRead(reader, sharedBuffer()) });
  readers.set(socket, reader);
  return socket;
}

/** A socket that this process has inherited, to be read with the shared buffer. */
export function inheritedWithSharedBuffer(fd: number): Socket {
  const reader: Reader = { take: null, early: [] };
  const socket = new Socket({ fd, readable: true, writable: true, ...onRead(reader, sharedBuffer()) });
  readers.set(socket, reader);
  return socket;
}

/** Whether what {@link takeReads} passes on is overwritten by the next read, and has to be copied to be kept. */
export function readsWithSharedBuffer(socket: Duplex): boolean {
  return readers.has(socket);
}

/**
 * Passes on what is read from a socket, of either kind. The bytes are the taker's until it returns: what it keeps, it copies.
 */
export function takeReads(socket: Duplex, take: Take): void {
  const reader = readers.get(socket);
  if (reader === undefined) {
    socket.on("data", take);
    return;
  }
  // As with a stream, not before the caller is ready for it.
  queueMicrotask(() => {
    for (const bytes of reader.early.splice(0)) if (!socket.destroyed) take(bytes);
    reader.take = take;
    if (!socket.isPaused()) socket.resume();
  });
}

function sharedBuffer(): Buffer {
  return (buffer ??= Buffer.allocUnsafeSlow(bufferBytes));
}

function onRead(reader: Reader, into: Buffer): Required<Pick<SocketConstructorOpts, "onread">> {
  const callback = (count: number): boolean => {
    const bytes = into.subarray(0, count);
    if (reader.take === null) reader.early.push(Buffer.from(bytes));
    else reader.take(bytes);
    // Nobody takes more of it yet: it is not read on.
    return reader.take !== null;
  };
  return { onread: { buffer: into, callback } };
}
