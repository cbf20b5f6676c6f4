import type { MadeBody } from "../../http/inspector.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";

/** A response of our own. */
export interface Answer {
  readonly head: ResponseHead;
  readonly body: Buffer | MadeBody;
}

/** One request and its response. */
export interface Exchange {
  /** As it was sent. */
  readonly request: RequestHead;
  /** It is answered from here, and not sent. */
  readonly answer: Answer | null;
  /** Protocols that it asks for instead of HTTP, in lower case. */
  readonly upgrade: readonly string[];
  /** The client waits for 100 before it sends the body. */
  expectsContinue: boolean;
  hasBodyBegun: boolean;
  /** All of it was read. */
  isRequestWhole: boolean;
  /** Nothing follows its response. */
  closes: boolean;
  /** That nothing follows is our decision: the client has to be told. */
  isCut: boolean;
}

/** As many may wait for their responses; then no more requests are read. */
export const maxPipelined = 128;
