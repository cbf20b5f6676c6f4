import { constants } from "node:os";
import { errno } from "./numbers.ts";

/** What the guest's program gets as its error. */
export class Refusal extends Error {
  readonly errno: number;

  constructor(number: number) {
    super(`errno ${number}`);
    this.errno = number;
  }
}

const byName: Readonly<Record<string, number>> = constants.errno;

/** The number for the guest of whatever went wrong: the host's own where a call of its failed, and EIO for what nobody foresaw. */
export function errnoOf(error: unknown): number {
  if (error instanceof Refusal) return error.errno;
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return (typeof code === "string" ? byName[code] : undefined) ?? errno.io;
}
