import type { StartedMachine } from "../common/context.ts";

/** What came of trying to start a sandbox in one way. */
export type RouteResult = RouteStarted | RouteUnavailable | RouteFailed;

export interface RouteStarted {
  readonly kind: "started";
  readonly started: StartedMachine;
  /** How, one clause. */
  readonly reason: string;
}

/** It was not tried: it is no way for this sandbox, on this host, at this time. */
export interface RouteUnavailable {
  readonly kind: "unavailable";
  /** One clause. */
  readonly reason: string;
}

/** It was tried, and nothing is left of it. */
export interface RouteFailed {
  readonly kind: "failed";
  /** One clause. */
  readonly reason: string;
}
