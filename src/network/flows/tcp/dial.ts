import type { Socket } from "node:net";
import { connectWithSharedBuffer } from "../../../host/system/shared-read-buffer.ts";
import type { Family } from "../../../host/ip/address.ts";

/** An address of the outside, as text that is never looked up as a name. */
export interface Target {
  readonly host: string;
  readonly family: Family;
  readonly port: number;
}

/** `unreachable`: whatever else it may be. */
export type DialFailure = "refused" | "timeout" | "host-unreachable" | "network-unreachable" | "unreachable";

/** A socket that is connected, paused, and to be read by `takeReads`, and what was read already; or why there is none. */
export type Dialed = { readonly socket: Socket; readonly early?: Buffer } | { readonly failure: DialFailure };

/**
 * Connects to the first of the targets that can be had. Calls back once, never before it returns.
 *
 * @returns gives it up; nothing is called back any more
 */
export type Dial = (targets: readonly Target[], done: (dialed: Dialed) => void) => () => void;

/** A kernel goes on asking for two minutes; a guest's program is told sooner. */
export const handshakeMs = 30_000;
/** Of a silent peer: before the first probe (the kernel's default is two hours). */
const keepAliveMs = 60_000;

/** Connects from the host itself. */
export const dialDirectly: Dial = (targets, done) => {
  let socket: Socket | null = null;
  const next = (index: number): void => {
    const target = targets[index];
    if (target === undefined) throw new RangeError("nothing to connect to");
    const attempt = connect(target);
    socket = attempt;
    let failure: DialFailure = "timeout";
    const deadline = setTimeout(() => attempt.destroy(), handshakeMs);
    attempt.on("error", (error: NodeJS.ErrnoException) => {
      failure = failureOf(error);
    });
    attempt.once("close", () => {
      clearTimeout(deadline);
      if (socket !== attempt) return;
      // The other family of loopback, or none.
      if (index + 1 < targets.length) next(index + 1);
      else done({ failure });
    });
    attempt.once("connect", () => {
      clearTimeout(deadline);
      attempt.removeAllListeners("close");
      attempt.removeAllListeners("error");
      if (socket === attempt) done({ socket: attempt });
    });
  };
  next(0);
  return () => {
    const attempt = socket;
    socket = null;
    attempt?.destroy();
  };
};

/**
 * Begins to connect; the socket is not read before somebody wants that.
 *
 * @param to without a family, a name is looked up, and its addresses are tried (RFC 8305)
 */
export function connect({ host, port, family }: Omit<Target, "family"> & { family: Family | null }): Socket {
  const socket = connectWithSharedBuffer({
    host,
    port,
    ...(family === null ? { autoSelectFamily: true } : { family, autoSelectFamily: false }),
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  });
  socket.pause();
  return socket;
}

/** Why a socket could not be connected. */
export function failureOf({ code }: NodeJS.ErrnoException): DialFailure {
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return "refused";
  if (code === "ETIMEDOUT") return "timeout";
  if (code === "EHOSTUNREACH") return "host-unreachable";
  return code === "ENETUNREACH" ? "network-unreachable" : "unreachable";
}

/** As the end of a flow that could not be connected is told. */
export function reasonOf(failure: DialFailure): "refused" | "timeout" | "unreachable" {
  return failure === "host-unreachable" || failure === "network-unreachable" ? "unreachable" : failure;
}
