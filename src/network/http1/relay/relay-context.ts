import type { Asking, Inspector } from "../../http/inspector.ts";
import type { RequestHead } from "../../http/message.ts";
import type { Exchange } from "./exchange.ts";
import type { Outlet } from "./outlet.ts";

/** What both directions of a connection know of each other. */
export interface RelayContext {
  readonly inspector: Inspector;
  readonly toServer: Outlet;
  readonly toGuest: Outlet;
  /** Requests whose responses have not ended, oldest first. */
  readonly exchanges: Exchange[];
  /** Nothing more is to be done. */
  readonly isOver: boolean;
  readonly requests: RequestSide;
  readonly responses: ResponseSide;
  /** @returns what is said with a question about a message */
  asking(hasBody: boolean): Asking;
  /** Whether somebody wants to know when the guest is gone. */
  readonly isLeavable: boolean;
  /** Breaks off both ends. */
  fail(error: unknown): void;
  /** A direction has come to its end: an end that does not close now is broken off some time. */
  finished(): void;
  /** The guest speaks HTTP/2: it is somebody else's. */
  leaveToHttp2(bytes: Buffer): void;
}

/** Guest to server. */
export interface RequestSide {
  /** Whether what the guest says is no HTTP (any more). */
  readonly isRaw: boolean;
  /** Goes on as far as it can. */
  pump(): void;
  /** The server speaks another protocol from now on, as the guest has asked it to. */
  upgraded(request: RequestHead): void;
  /** No further request will be answered. */
  lastAnswered(): void;
  /** What the guest still says is for nobody. */
  drop(): void;
  /** What the server says is no HTTP. @throws Malformed when the guest speaks HTTP */
  serverSpeaksOther(): void;
}

/** Server to guest. */
export interface ResponseSide {
  pump(): void;
  /** It is known that the guest speaks HTTP/1, or no HTTP. */
  guestSpeaks(): void;
  /** An exchange was added whose answer is ours. */
  answered(): void;
  /** The guest waits for 100 before it sends a body that the server is not told of yet. */
  continueInTurn(): void;
}

/** One side has ended in the middle of a message. */
export class Truncated extends Error {
  override readonly name = "Truncated";
}
