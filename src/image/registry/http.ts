import { request as httpRequest, Agent as HttpAgent, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as HttpsAgent, type RequestOptions } from "node:https";
import { getCACertificates } from "node:tls";
import { HttpError } from "../../errors/index.ts";
import { receive } from "./body.ts";
import { connectionError, displayUrl } from "./connection-error.ts";
import { proxyFor, TunnelAgent, type TunnelOptions } from "./proxy.ts";

/**
 * One HTTP request after the other, with time limits, and nothing more: no redirects, no retries, no credentials of its own.
 * Reading order of this folder: `http.ts`, `body.ts` and `proxy.ts` (bytes), `session.ts` with `challenge.ts` and `token.ts` (who asks),
 * `redirect.ts` and `retry.ts` (asking again), `client.ts` (what a registry is asked for), `download.ts` (large things).
 */
export interface HttpOptions {
  /** Certificates that are trusted besides the system's, as PEM. */
  readonly caCertificates: readonly string[];
  /** `host:port` whose TLS certificate is not verified; null for none. */
  readonly unverifiedHost: string | null;
  /** Where the proxy settings are read. */
  readonly environment: NodeJS.ProcessEnv;
  /** How long a peer may be silent, and how long it may take to the end of an answer's head, in milliseconds. */
  readonly silenceMs: number;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The head of an answer; `body` must be read, by `chunks()`, or destroyed. */
export interface HttpResponse {
  readonly status: number;
  readonly url: URL;
  readonly body: IncomingMessage;
  header(name: string): string | undefined;
  /** @throws HttpError when the body ends too early, or comes too slowly */
  chunks(): AsyncGenerator<Buffer>;
}

export class HttpConnections implements Disposable {
  readonly #options: HttpOptions;
  readonly #plain = new HttpAgent({ keepAlive: true });
  readonly #agents = new Map<string, HttpsAgent | HttpAgent>();
  #trusted: string[] | null = null;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /**
   * @throws HttpError when no answer came; the reason of the signal when it was aborted
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { signal } = request;
    const { silenceMs } = this.#options;
    signal?.throwIfAborted();
    const answer = Promise.withResolvers<HttpResponse>();
    const { resolve, reject } = answer;
    const secure = request.url.protocol === "https:";
    const headers = { "user-agent": "microsandbox", "accept-encoding": "identity", ...request.headers };
    const ended = new AbortController();
    const options: RequestOptions & TunnelOptions = {
      method: request.method,
      agent: this.#agentFor(request.url),
      headers,
      timeout: silenceMs,
      tunnelSignal: ended.signal,
      ...(signal === undefined ? {} : { signal }),
    };
    const proxy = secure ? null : proxyFor(request.url, this.#options.environment);
    const sent =
      proxy === null
        ? (secure ? httpsRequest : httpRequest)(request.url, options)
        : httpRequest(proxy.url, {
            ...options,
            // RFC 9112, 3.2.2: a proxy gets the absolute form.
            path: request.url.href,
            headers: { ...headers, host: request.url.host, ...proxy.headers },
          });
    sent.on("response", (body) => {
      resolve({
        status: body.statusCode ?? 0,
        url: request.url,
        body,
        header: (name) => body.headersDistinct[name]?.join(", "),
        chunks: () => receive(request.url, body, silenceMs),
      });
    });
    sent.on("timeout", () => {
      sent.destroy(new Error(`nothing was heard for ${silenceMs / 1000} s`));
    });
    sent.on("error", (error) => {
      reject(signal?.aborted === true ? (signal.reason as Error) : connectionError(request.url, error));
    });
    sent.on("upgrade", (_response, socket) => {
      socket.destroy();
      // Without a cause: another try would change nothing.
      const hint = "Is it a container registry?";
      reject(new HttpError(`${displayUrl(request.url)} wants to speak another protocol than HTTP`, { hint }));
    });
    // Does nothing after an answer or an error; whatever else may end a request must not leave this waiting.
    sent.on("close", () => {
      reject(connectionError(request.url, new Error("the connection was closed without an answer")));
    });
    // Silence does not end a peer that sends a header line, or a 1xx answer, every few seconds.
    const late = setTimeout(() => {
      const error = new Error(`there was no answer within ${silenceMs / 1000} s`);
      sent.destroy(error);
      ended.abort(error);
    }, silenceMs);
    const onAbort = (): void => ended.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    sent.end(request.body);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(late);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #agentFor(url: URL): HttpsAgent | HttpAgent {
    if (url.protocol === "http:") return this.#plain;
    const verified = url.host !== this.#options.unverifiedHost;
    const proxy = proxyFor(url, this.#options.environment);
    const key = `${String(verified)} ${proxy?.url.href ?? ""}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const options = {
        keepAlive: true,
        timeout: this.#options.silenceMs,
        rejectUnauthorized: verified,
        ...(verified ? { ca: this.#trustedCertificates() } : {}),
      };
      agent = proxy === null ? new HttpsAgent(options) : new TunnelAgent(proxy, options);
      this.#agents.set(key, agent);
    }
    return agent;
  }

  /** Reading the system's takes tens of milliseconds, so it is done once and only when TLS is used. */
  #trustedCertificates(): string[] {
    this.#trusted ??= [
      ...new Set([...getCACertificates("default"), ...systemCertificates(), ...this.#options.caCertificates]),
    ];
    return this.#trusted;
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    for (const agent of this.#agents.values()) agent.destroy();
  }
}

let systemRoots: string[] | null = null;

function systemCertificates(): string[] {
  systemRoots ??= getCACertificates("system");
  return systemRoots;
}
