import {
  type Asking,
  Blocked,
  type BodyFilter,
  type BodyTaker,
  isMade,
  type MadeBody,
  type MaybePromise,
  type Reading,
  type RequestVerdict,
  type ResponseVerdict,
} from "../../http/inspector.ts";
import type { RequestHead, ResponseHead } from "../../http/message.ts";
import { inSequence, takerThrough } from "../../http/sequence.ts";
import { HookFailed, type HttpHooks, type RequestContext } from "../interception.ts";
import { failureAnswer } from "./failure-answer.ts";

/** What is done with what the program's functions say. */
export interface AfterHooks {
  /** What comes after them, when the request is to be sent. @throws Blocked */
  forward(head: RequestHead, body: BodyFilter | MadeBody | null): Promise<RequestVerdict>;
  answered(): void;
  failed(reason: string): void;
}

/** Asks the program about a request. @throws Blocked */
export async function hookedRequest(
  hooks: HttpHooks,
  head: RequestHead,
  about: RequestContext,
  asking: Asking,
  after: AfterHooks,
): Promise<RequestVerdict | Reading<RequestVerdict>> {
  const failed = (error: unknown): RequestVerdict => {
    const failure = failureOf(error);
    after.failed(failure.message);
    return failureAnswer(failure);
  };
  const decided = async (said: MaybePromise<RequestVerdict>): Promise<RequestVerdict> => {
    let verdict: RequestVerdict;
    try {
      verdict = await said;
    } catch (error) {
      return failed(error);
    }
    const body = isMade(verdict.body) ? watched(verdict.body, after) : verdict.body;
    if (verdict.kind === "forward") {
      try {
        return await after.forward(verdict.head, body as BodyFilter | MadeBody | null);
      } catch (error) {
        if (isMade(body)) body.cancel();
        throw error;
      }
    }
    after.answered();
    return { ...verdict, body: body as Buffer | MadeBody };
  };
  try {
    const said = await hooks.request(head, about, asking);
    if (said.kind !== "reading") return await decided(said);
    return { ...said, verdict: handled(decided(said.verdict)) };
  } catch (error) {
    if (error instanceof Blocked) throw error;
    return failed(error);
  }
}

/** Asks the program about a response. @param scrubbed the response without values of secrets, where that is wanted @throws Blocked */
export async function hookedResponse(
  hooks: HttpHooks,
  scrubbed: { readonly head: ResponseHead; readonly body: BodyFilter | null },
  request: RequestHead,
  about: RequestContext,
  asking: Asking,
  after: Pick<AfterHooks, "failed">,
): Promise<ResponseVerdict | Reading<ResponseVerdict>> {
  const filter = scrubbed.body;
  const failed = (error: unknown): ResponseVerdict => {
    const failure = failureOf(error);
    after.failed(failure.message);
    // What is about the connection cannot be answered otherwise.
    if (scrubbed.head.status === 101) throw new Blocked(failure.message);
    const { head, body } = failureAnswer(failure) as { head: ResponseHead; body: Buffer };
    return { head, body: bufferAsMade(body) };
  };
  const decided = async (
    said: MaybePromise<ResponseVerdict>,
    reading: BodyTaker | null,
  ): Promise<ResponseVerdict> => {
    try {
      const { head, body } = await said;
      if (!isMade(body)) return { head, body: inSequence(filter, body) };
      const taker = body.taker === null ? null : (reading ?? takerThrough(filter, body.taker));
      return { head, body: { ...watched(body, after), taker } };
    } catch (error) {
      return failed(error);
    }
  };
  try {
    // What goes through a filter may come out longer or shorter.
    const head = filter?.changesLength === true ? withoutLength(scrubbed.head) : scrubbed.head;
    const said = await hooks.response(head, request, about, asking);
    if (said.kind !== "reading") return await decided(said, null);
    const taker = takerThrough(filter, said.taker);
    return { kind: "reading", taker, verdict: handled(decided(said.verdict, taker)) };
  } catch (error) {
    return failed(error);
  }
}

function withoutLength(head: ResponseHead): ResponseHead {
  return { ...head, fields: head.fields.filter(([name]) => name.toLowerCase() !== "content-length") };
}

/** Whoever awaits it later hears of its failure then. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Whatever is wrong, nothing of the request goes on. */
function failureOf(error: unknown): HookFailed {
  return error instanceof HookFailed ? error : new HookFailed(502, "the program could not be asked");
}

/** A body that fails breaks off what it is part of: its beginning has been sent. */
function watched(made: MadeBody, { failed }: Pick<AfterHooks, "failed">): MadeBody {
  return {
    length: made.length,
    taker: made.taker,
    read: async () => {
      try {
        return await made.read();
      } catch (error) {
        if (error instanceof Blocked) throw error;
        const { message } = failureOf(error);
        failed(message);
        throw new Blocked(message);
      }
    },
    cancel: () => {
      made.cancel();
    },
  };
}

function bufferAsMade(body: Buffer): MadeBody {
  let rest: Buffer | null = body;
  return {
    length: body.length,
    taker: null,
    read: () => {
      const bytes = rest;
      rest = null;
      return Promise.resolve(bytes);
    },
    cancel: () => undefined,
  };
}
