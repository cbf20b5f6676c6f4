import type { HttpConfig, HttpRule } from "./http-type.ts";

/** What was said about requests so far. */
export interface AskedHttp {
  readonly rules: readonly HttpRule[];
  readonly denyResponse: boolean | null;
  readonly denyMessage: string | null;
  readonly hookTimeoutMs: number | null;
  /** Said by what is read back: the functions themselves are beside it. */
  readonly hasRequestHook: boolean;
  readonly hasResponseHook: boolean;
}

export const nothingOfHttp: AskedHttp = {
  rules: [],
  denyResponse: null,
  denyMessage: null,
  hookTimeoutMs: null,
  hasRequestHook: false,
  hasResponseHook: false,
};

const defaultHookTimeoutMs = 30_000;

/** What is said later counts; rules go behind those before. */
export function joinHttp(earlier: AskedHttp | null, later: AskedHttp | null): AskedHttp | null {
  if (earlier === null || later === null) return later ?? earlier;
  return {
    rules: [...earlier.rules, ...later.rules],
    denyResponse: later.denyResponse ?? earlier.denyResponse,
    denyMessage: later.denyMessage ?? earlier.denyMessage,
    hookTimeoutMs: later.hookTimeoutMs ?? earlier.hookTimeoutMs,
    hasRequestHook: later.hasRequestHook || earlier.hasRequestHook,
    hasResponseHook: later.hasResponseHook || earlier.hasResponseHook,
  };
}

/** With what was not said. */
export function httpConfigOf(asked: AskedHttp): HttpConfig {
  return {
    rules: asked.rules,
    denyResponse: asked.denyResponse ?? true,
    denyMessage: asked.denyMessage,
    hooks: {
      onRequest: asked.hasRequestHook,
      onResponse: asked.hasResponseHook,
      timeoutMs: asked.hookTimeoutMs ?? defaultHookTimeoutMs,
    },
  };
}
