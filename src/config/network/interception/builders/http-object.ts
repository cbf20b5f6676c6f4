import { checkFlag, checkList, checkOneOf } from "../../../checks.ts";
import { refuseUnknownKeys } from "../../../keys/unknown-keys.ts";
import type { RequestHook, ResponseHook } from "../http-hooks.ts";
import { joinHttp, nothingOfHttp } from "../http-settings.ts";
import type { HttpConfig, HttpRule } from "../http-type.ts";
import { HttpBuilder, type MadeHttp } from "./http-builder.ts";
import { checkHttpRule } from "./http-rule.ts";
import { said } from "./tls-object.ts";

/** A rule about requests in a configuration object. */
export interface HttpRuleInput {
  readonly action: HttpRule["action"];
  /** By default every method. */
  readonly methods?: string | Iterable<string> | null;
  /** By default every host. */
  readonly host?: string | null;
  /** By default every path. */
  readonly path?: string | null;
}

/** What is said about requests, in a configuration object. */
export interface HttpInput {
  readonly rules?: Iterable<HttpRuleInput> | null;
  readonly denyResponse?: boolean | null;
  readonly denyMessage?: string | null;
  readonly onRequest?: RequestHook | null;
  readonly onResponse?: ResponseHook | null;
  readonly hookTimeoutMs?: number | null;
  /** As it is read back; the functions themselves are not. */
  readonly hooks?: Partial<HttpConfig["hooks"]> | null;
}

const known = ["rules", "denyResponse", "denyMessage", "onRequest", "onResponse", "hookTimeoutMs", "hooks"];

/** @throws InvalidConfigError */
export function httpOfObject(path: string, input: HttpInput): MadeHttp {
  refuseUnknownKeys(path, input, known);
  const builder = new HttpBuilder();
  said(input.denyResponse, (value) => builder.denyResponse(value));
  said(input.denyMessage, (value) => builder.denyMessage(value));
  said(input.onRequest, (hook) => builder.onRequest(hook));
  said(input.onResponse, (hook) => builder.onResponse(hook));
  const { hooks } = input;
  if (hooks !== undefined && hooks !== null)
    refuseUnknownKeys(`${path}.hooks`, hooks, ["onRequest", "onResponse", "timeoutMs"]);
  said(input.hookTimeoutMs ?? hooks?.timeoutMs, (ms) => builder.hookTimeoutMs(ms));
  const rules =
    input.rules === undefined || input.rules === null ? [] : checkList(`${path}.rules`, input.rules);
  const made = builder.made();
  const read = {
    ...nothingOfHttp,
    rules: rules.map((rule, n) => ruleOf(`${path}.rules[${n}]`, rule)),
    hasRequestHook: isOn(`${path}.hooks.onRequest`, hooks?.onRequest),
    hasResponseHook: isOn(`${path}.hooks.onResponse`, hooks?.onResponse),
  };
  return { ...made, http: joinHttp(made.http, read) ?? made.http };
}

function ruleOf(path: string, input: unknown): HttpRule {
  refuseUnknownKeys(path, input, ["action", "methods", "host", "path"]);
  const { action, methods, host, path: pattern } = input as HttpRuleInput;
  const listed =
    methods === null || methods === undefined || typeof methods === "string" ? methods : [...methods];
  // As it is read back, an empty list is every method.
  const given = Array.isArray(listed) && listed.length === 0 ? null : listed;
  const checked = checkOneOf(`${path}.action`, action, ["allow", "deny"] as const);
  return checkHttpRule(checked, { methods: given, host, path: pattern }, path);
}

function isOn(path: string, value: boolean | null | undefined): boolean {
  return value === null || value === undefined ? false : checkFlag(path, value);
}
