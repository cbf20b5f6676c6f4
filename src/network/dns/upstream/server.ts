import type { Answer } from "../message/answer.ts";

/** A server that is asked. */
export interface Server {
  /** An IP address, an IPv6 one maybe with a zone. */
  readonly host: string;
  readonly port: number;
}

export function serverKey({ host, port }: Server): string {
  return `${host} ${port}`;
}

/** One attempt at one server. */
export interface Attempt {
  readonly server: Server;
  readonly message: Buffer;
  /** null: it is no answer to the question; the right one may still come. */
  readonly read: (message: Buffer) => Answer | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Whoever asks for the same thing meanwhile, as a guest that hears nothing does, has it sent again. */
  readonly again: Set<() => void>;
}

/** Why there is no answer. */
export class NoAnswer extends Error {
  /** Nobody waits for it any more. */
  readonly isGivenUp: boolean;

  constructor(
    reason: string,
    { isGivenUp = false, ...options }: ErrorOptions & { isGivenUp?: boolean } = {},
  ) {
    super(reason, options);
    this.isGivenUp = isGivenUp;
  }
}
