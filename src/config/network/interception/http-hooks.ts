import type { ReadableStream } from "node:stream/web";

/** A header field: its name as it was written, and its value. One character is one byte (latin1). */
export type HookedField = [name: string, value: string];

/** Header fields as a function gives them: pairs, what has pairs in it (`Headers`, `Map`), or an object. They are all that is sent. */
export type HookHeaders = Iterable<readonly [name: string, value: string]> | Readonly<Record<string, string>>;

/** A body as a function gives it. What comes in pieces is sent as it comes: a stream, or a generator. */
export type HookBody = string | Uint8Array | AsyncIterable<Uint8Array>;

/** The head of a request of the guest, before secrets are put in. */
export interface HookedRequestHead {
  readonly method: string;
  /** All of it: `https://api.example.com/v1/models?limit=5`. */
  readonly url: string;
  readonly headers: HookedField[];
}

/** A request of the guest, before secrets are put in. */
export interface HookedRequest extends HookedRequestHead {
  /**
   * As it was sent: a content coding is not undone. null: there is none. It comes to this program only when it is read, and no faster. What
   * is read of it before the function answers is sent all the same unless the function gives another; that may be 16 MiB.
   */
  readonly body: ReadableStream<Uint8Array> | null;
}

/** The answer to a request. */
export interface HookedResponse {
  readonly status: number;
  readonly headers: HookedField[];
  /** As {@link HookedRequest.body}. */
  readonly body: ReadableStream<Uint8Array> | null;
}

/** What is to be sent in a request's place. What is left out stays. */
export interface ChangedRequest {
  readonly method?: string;
  /** Of the same host: another path, another query. */
  readonly url?: string;
  readonly headers?: HookHeaders;
  /** null: none. */
  readonly body?: HookBody | null;
  readonly status?: never;
}

/** What the guest gets in place of the server's answer, which is not asked. */
export interface MadeResponse {
  /** 200 to 599. */
  readonly status: number;
  readonly headers?: HookHeaders;
  readonly body?: HookBody | null;
  readonly method?: never;
  readonly url?: never;
}

/** What the guest gets; what is left out stays. */
export interface ChangedResponse {
  /** 200 to 599. */
  readonly status?: number;
  readonly headers?: HookHeaders;
  /** null: none. */
  readonly body?: HookBody | null;
}

/** What goes with a message to a hook. */
export interface HookContext {
  /** Aborted when nobody waits for the function, or for the body that it makes, any more. */
  readonly signal: AbortSignal;
}

type Answer<T> = T | null | undefined | Promise<T | null | undefined>;

/**
 * Looks at a request, and may change or answer it; null or undefined sends it as it is. When it throws, or takes too long, the request is
 * answered with 502 or 504.
 *
 * @example
 * ```ts
 * import type { RequestHook } from "microsandbox";
 *
 * const onRequest: RequestHook = async ({ method, url, headers, body }) => {
 *   if (url.endsWith("/health")) return { status: 200, body: "fine\n" };
 *   if (method !== "POST" || body === null) return { headers: [...headers, ["x-seen", "yes"]] };
 *   return {
 *     body: (async function* () {
 *       for await (const bytes of body) yield bytes.map((byte) => byte ^ 0x20);
 *     })(),
 *   };
 * };
 * console.log(typeof onRequest); // function
 * ```
 */
export type RequestHook = (
  request: HookedRequest,
  context: HookContext,
) => Answer<ChangedRequest | MadeResponse>;

/**
 * Looks at an answer, and may change it; null or undefined passes it on as it is. When it throws, or takes too long, the guest gets 502 or
 * 504 in its place. `request` is the one that was sent, without secrets and without its body.
 *
 * @example
 * ```ts
 * import type { ResponseHook } from "microsandbox";
 *
 * const onResponse: ResponseHook = ({ status, headers }, { url }) =>
 *   status === 404 ? { status: 200, headers, body: `nothing at ${url}\n` } : undefined;
 * console.log(typeof onResponse); // function
 * ```
 */
export type ResponseHook = (
  response: HookedResponse,
  request: HookedRequestHead,
  context: HookContext,
) => Answer<ChangedResponse>;

/** The functions of a program that look at requests and answers; null: none. They go beside the configuration. */
export interface GivenHooks {
  readonly onRequest: RequestHook | null;
  readonly onResponse: ResponseHook | null;
}

/** Those that are there. */
export function hookNames(hooks: GivenHooks): (keyof GivenHooks)[] {
  return (["onRequest", "onResponse"] as const).filter((name) => hooks[name] !== null);
}

export const noHooks: GivenHooks = { onRequest: null, onResponse: null };
