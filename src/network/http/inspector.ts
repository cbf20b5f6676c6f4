import type { HttpField, RequestHead, ResponseHead } from "./message.ts";

export type MaybePromise<T> = T | Promise<T>;

/** Passes the bytes of one body on, changed or not. It keeps no reference to what it was given. */
export interface BodyFilter {
  /** Whether what comes out may have another length than what goes in: then the length cannot be told before the end. */
  readonly changesLength: boolean;
  /**
   * @param bytes valid until this returns, and until the promise is settled when it returns one. Nothing more is given before then
   * @returns what can be passed on now: parts of `bytes`, or memory of its own. A promise when somebody else has a say, such as a function
   * of the host's program
   * @throws Blocked
   */
  push(bytes: Buffer): MaybePromise<readonly Buffer[]>;
  /** @throws Blocked */
  end(): MaybePromise<readonly Buffer[]>;
}

/** One that never needs to wait. */
export interface PromptBodyFilter extends BodyFilter {
  push(bytes: Buffer): readonly Buffer[];
  end(): readonly Buffer[];
}

/** Where the body of a message goes when somebody else makes what is sent. What it has no use for it drops. */
export interface BodyTaker {
  /**
   * @param bytes valid until this returns, and until the promise is settled when it returns one. Nothing more is given before then
   * @returns settles when more can be taken; it never rejects, and settles at once when somebody decides who had only read so far
   */
  push(bytes: Buffer): MaybePromise<void>;
  /** All of it was given. It may be said again. */
  end(): MaybePromise<void>;
}

/** A body in the place of a message's own. When something comes out of it depends on nothing that goes into its taker. */
export interface MadeBody {
  /** In bytes; null: nobody knows before its end. `later`: nor does anybody, but it is short, and whoever gets it wants to be told first. */
  readonly length: number | "later" | null;
  /** Where the message's own body goes meanwhile; null: nobody wants it. */
  readonly taker: BodyTaker | null;
  /** @returns what comes next; null: the end. @throws Blocked */
  read(): Promise<Buffer | null>;
  /** Nobody wants more of it. */
  cancel(): void;
}

/** Somebody wants to see a message's body before he decides about the message. */
export interface Reading<Verdict> {
  readonly kind: "reading";
  readonly taker: BodyTaker;
  /** May be settled before the end of the body. What is sent on then has a {@link MadeBody}. @throws Blocked */
  readonly verdict: Promise<Verdict>;
}

/** What becomes of a request. */
export type RequestVerdict =
  /** It is sent, with this head: the same object passes it on byte for byte. `body`: null passes the body on as it is. */
  | { readonly kind: "forward"; readonly head: RequestHead; readonly body: BodyFilter | MadeBody | null }
  /** It is not sent, and answered from here. Its body is read and dropped, or the connection is closed after the answer. */
  | { readonly kind: "answer"; readonly head: ResponseHead; readonly body: Buffer | MadeBody };

export interface ResponseVerdict {
  readonly kind?: "response";
  readonly head: ResponseHead;
  /** null passes it on as it is. */
  readonly body: BodyFilter | MadeBody | null;
}

export function isMade(body: BodyFilter | MadeBody | Buffer | null): body is MadeBody {
  return body !== null && "read" in body;
}

/** What a relay knows of a message that it asks about. */
export interface Asking {
  /** Whether there is a body, or may be. */
  readonly hasBody: boolean;
  /**
   * Calls back when nobody waits for the answer any more, because the guest is gone.
   *
   * @returns takes it back
   */
  whenGone(gone: () => void): () => void;
}

/**
 * Who looks at what a guest sends on one connection, and at what comes back: secrets, rules, hooks. Relays of both versions of HTTP ask it
 * in the order in which requests come. It tells by itself what it has seen; who is told of {@link Blocked} only breaks off.
 */
export interface Inspector {
  /** @throws Blocked */
  request(head: RequestHead, asking: Asking): MaybePromise<RequestVerdict | Reading<RequestVerdict>>;
  /**
   * What follows the body of a request that is sent, when something does.
   *
   * @param request as it was sent
   * @returns what is sent; the same array passes it on byte for byte
   * @throws Blocked
   */
  trailers(fields: readonly HttpField[], request: RequestHead): readonly HttpField[];
  /** Of a request that was sent, as it was sent. @throws Blocked */
  response(
    head: ResponseHead,
    request: RequestHead,
    asking: Asking,
  ): MaybePromise<ResponseVerdict | Reading<ResponseVerdict>>;
  /**
   * Fields of a response that are not in its head: those of one before it that only informs (1xx), and those that follow its body.
   *
   * @param request as it was sent
   * @returns what is passed on; the same array passes it on byte for byte
   */
  responseFields(fields: readonly HttpField[], request: RequestHead): readonly HttpField[];
  /**
   * For what is no HTTP (any more), guest to server. Its length does not change.
   *
   * @param upgrade the request that was answered with 101; null: none was
   * @throws Blocked when nothing may pass that cannot be read
   */
  raw(upgrade: RequestHead | null): PromptBodyFilter;
  /** The peers break a rule of the protocol, in words. It is logged, and the connection is to be broken off. */
  malformed(reason: string): Blocked;
}

/** Nothing more of this goes to the server: the connection is broken off (HTTP/1), or the stream (HTTP/2). */
export class Blocked extends Error {
  override readonly name = "Blocked";
}
