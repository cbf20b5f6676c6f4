import { checkFlag, checkWhole } from "../../../checks.ts";
import { InvalidConfigError } from "../../../../errors/index.ts";
import { checkText } from "../../../guest-text.ts";
import { noHooks, type GivenHooks, type RequestHook, type ResponseHook } from "../http-hooks.ts";
import { httpConfigOf, joinHttp, nothingOfHttp, type AskedHttp } from "../http-settings.ts";
import type { HttpConfig, HttpRule } from "../http-type.ts";
import { checkHttpRule } from "./http-rule.ts";

/** What was said about requests, and the functions that go beside it. */
export interface MadeHttp {
  readonly http: AskedHttp;
  readonly hooks: GivenHooks;
}

const longestMessage = 4096;
const longestHookMs = 3_600_000;

/**
 * Rules about requests: the first that matches decides, and a request that none matches is allowed. Setters throw InvalidConfigError.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * const { network } = Sandbox.builder("http-example")
 *   .image("localhost/base")
 *   .network((n) => n.http((h) => h.allow("GET", "api.github.com", "/repos/**").deny("*")))
 *   .build();
 * console.log(network?.http?.rules.length, network?.http?.denyResponse); // 2 true
 * ```
 */
export class HttpBuilder {
  #asked: AskedHttp = nothingOfHttp;
  #hooks: GivenHooks = noHooks;

  /**
   * Allows requests to a host: a name, `*.` and a name, or `*`. With a path only those that match it: it begins with `/`; `*` is any run of
   * characters but `/`, `**` any run at all.
   */
  allow(host: string, path?: string): this;
  /** Those of a method, or of one of several; `*` is every method. */
  allow(methods: string | Iterable<string>, host: string, path?: string): this;
  allow(...words: readonly [string | Iterable<string>, string?, string?]): this {
    return this.#rule("allow", words);
  }

  /** Denies requests, said as for {@link allow}. */
  deny(host: string, path?: string): this;
  deny(methods: string | Iterable<string>, host: string, path?: string): this;
  deny(...words: readonly [string | Iterable<string>, string?, string?]): this {
    return this.#rule("deny", words);
  }

  /** Whether what is denied is answered, with 403 and the reason; by default it is. false: the connection is broken off. */
  denyResponse(enabled: boolean): this {
    return this.#add({ denyResponse: checkFlag("denyResponse", enabled) });
  }

  /** The text of that answer, up to 4096 bytes; `{host}`, `{method}` and `{path}` are filled in. */
  denyMessage(text: string): this {
    const message = checkText("denyMessage", text);
    if (Buffer.byteLength(message) > longestMessage) {
      throw new InvalidConfigError(`denyMessage has more than ${longestMessage} bytes`, {
        hint: "Write a shorter one.",
      });
    }
    return this.#add({ denyMessage: message });
  }

  /** A function of this program that looks at each request before secrets are put in, and may change or answer it. */
  onRequest(hook: RequestHook): this {
    this.#hooks = { ...this.#hooks, onRequest: checkHook("onRequest", hook) };
    return this.#add({ hasRequestHook: true });
  }

  /** A function of this program that looks at the head of each answer, and may change it. */
  onResponse(hook: ResponseHook): this {
    this.#hooks = { ...this.#hooks, onResponse: checkHook("onResponse", hook) };
    return this.#add({ hasResponseHook: true });
  }

  /** How long one of these functions may take; by default 30,000 ms. Then it has failed. */
  hookTimeoutMs(ms: number): this {
    return this.#add({ hookTimeoutMs: checkWhole("hookTimeoutMs", ms, 1, longestHookMs) });
  }

  /** What was said so far. */
  build(): HttpConfig {
    return httpConfigOf(this.#asked);
  }

  /** The same to be put together with more, and with the functions. */
  made(): MadeHttp {
    return { http: this.#asked, hooks: this.#hooks };
  }

  #rule(action: HttpRule["action"], words: readonly unknown[]): this {
    return this.#add({ rules: [checkHttpRule(action, wordsOf(words))] });
  }

  #add(part: Partial<AskedHttp>): this {
    this.#asked = joinHttp(this.#asked, { ...nothingOfHttp, ...part }) ?? nothingOfHttp;
    return this;
  }
}

/** What begins with a slash is a path, and with it or alone the first word is the host. */
function wordsOf(words: readonly unknown[]): { methods?: unknown; host: unknown; path?: unknown } {
  const [first, second, third] = words;
  if (second === undefined) return { host: first };
  if (typeof second === "string" && second.startsWith("/") && third === undefined)
    return { host: first, path: second };
  return { methods: first, host: second, path: third };
}

function checkHook<Hook extends RequestHook | ResponseHook>(name: string, hook: Hook): Hook {
  if (typeof hook === "function") return hook;
  throw new InvalidConfigError(`${name} is given no function`, {
    hint: `Write ${name}(async (head) => undefined).`,
  });
}
