import { setTimeout as sleep } from "node:timers/promises";
import { InvalidConfigError, MicrosandboxError, type MicrosandboxErrorCode } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { GuestSocket } from "./guest-socket.ts";
import { requireNetwork } from "./network-events.ts";

/** What a guest that has not accepted a connection is waited for, ms. */
export const connectMs = 10_000;
/** What waitForPort() waits when nobody says how long, ms. */
export const portMs = 60_000;

/** A server that does not end its side of a connection that ended at once is waited for so long, ms. */
const farewellMs = 1000;
/** Between two attempts at a port, ms: a refused one is over at once. */
const firstPauseMs = 10;
const longestPauseMs = 250;

/** A guest that is not ready, or too busy, answers with these. */
const mayPass: readonly MicrosandboxErrorCode[] = ["runtime", "operationTimeout"];

/** The options of `connect()` beside those of waiting. */
export interface GuestConnectionOptions {
  /** As of `net.connect`: whether this side stays open when the guest has ended its own, until `end()`. By default it does not. */
  readonly allowHalfOpen?: boolean;
}

export const guestConnectionOptions = { allowHalfOpen: "boolean" } as const;

/** Where connections come from. */
export type GuestOwner = Pick<SandboxControl, "borrow" | "explainLoss" | "name" | "record">;

/** @throws InvalidConfigError */
export function checkGuestPort(port: unknown): number {
  if (typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new InvalidConfigError(`${String(port)} is no port of a guest`, { hint: "Use 1 to 65535." });
}

/** @throws RuntimeError when the guest refuses it or does not answer; UnsupportedOperationError, SandboxNotRunningError */
export async function connectGuest(
  control: GuestOwner,
  port: number,
  operation: Operation,
  { allowHalfOpen = false }: GuestConnectionOptions = {},
): Promise<GuestSocket> {
  const checked = checkGuestPort(port);
  requireNetwork(control);
  operation.log(`connecting to port ${checked} of the guest`);
  const socket = new GuestSocket(await control.borrow(operation), checked, allowHalfOpen);
  return await control.explainLoss(socket.connected(operation.signal));
}

/** Resolves when the guest accepts connections to a port. One is made and closed for it. */
export async function waitForGuestPort(
  control: GuestOwner,
  port: number,
  operation: Operation,
): Promise<void> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    operation.throwIfOver();
    try {
      const socket = await connectGuest(control, port, operation);
      leave(socket);
      return;
    } catch (error) {
      operation.throwIfOver();
      if (!(error instanceof MicrosandboxError && mayPass.includes(error.code))) throw error;
    }
    await sleep(pauseMs, undefined, { signal: operation.signal }).catch(() => undefined);
  }
}

/** Ends a connection in order, and holds nobody up with it. */
function leave(socket: GuestSocket): void {
  socket.unref();
  socket.on("error", () => undefined);
  socket.resume();
  socket.end();
  const timer = setTimeout(() => socket.destroy(), farewellMs).unref();
  socket.once("close", () => clearTimeout(timer));
}
