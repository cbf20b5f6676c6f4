import type { DialFailure, Target } from "../tcp/dial.ts";

/** What a handshake with a proxy wants next. */
export type Step =
  | { readonly kind: "more" }
  | { readonly kind: "send"; readonly bytes: Buffer }
  /** What follows `used` bytes is the other end's. */
  | { readonly kind: "done"; readonly used: number }
  /** `why`: what is wrong with the proxy; null: it works, and the other end cannot be had. */
  | { readonly kind: "failed"; readonly failure: DialFailure; readonly why: string | null };

export const more: Step = { kind: "more" };

export function failed(why: string | null, failure: DialFailure = "unreachable"): Step {
  return { kind: "failed", failure, why };
}

/** One connection's words with a proxy. */
export interface Handshake {
  /** Said first. */
  readonly opening: Buffer;
  /**
   * @param bytes all that came since the last `send`
   * @returns after `send`, what came is used up
   */
  next(bytes: Buffer): Step;
}

export type HandshakeFor = (target: Target) => Handshake | null;
