import { request as httpRequest, Agent as HttpAgent, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as HttpsAgent, type RequestOptions } from "node:https";
import { getCACertificates } from "node:tls";
import { HttpError } from "../../errors/index.ts";
import { proxyFor, TunnelAgent } from "./proxy.ts";

/**
 * One HTTP request after the other, with time limits, and nothing more: no redirects, no retries, no credentials of its own.
 * Reading order of this folder: `http.ts` and `proxy.ts` (bytes), `session.ts` with `challenge.ts` and `token.ts` (who asks),
 * `redirect.ts` and `retry.ts` (asking again), `client.ts` (what a registry is asked for), `download.ts` (large things).
 */
export interface HttpOptions {
  /** Certificates that are trusted besides the system's, as PEM. */
  readonly caCertificates: readonly string[];
  /** `host:port` whose TLS certificate is not verified; null for none. */
  readonly unverifiedHost: string | null;
  /** Where the proxy settings are read. */
  readonly environment: NodeJS.ProcessEnv;
  /** How long a peer may be silent, in milliseconds. */
  readonly silenceMs: number;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The head of an answer; `body` must be read or destroyed. */
export interface HttpResponse {
  readonly status: number;
  readonly url: URL;
  readonly body: IncomingMessage;
  header(name: string): string | undefined;
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
    signal?.throwIfAborted();
    return new Promise<HttpResponse>((resolve, reject) => {
      const secure = request.url.protocol === "https:";
      const headers = { "user-agent": "microsandbox", "accept-encoding": "identity", ...request.headers };
      const options: RequestOptions = {
        method: request.method,
        agent: this.#agentFor(request.url),
        headers,
        timeout: this.#options.silenceMs,
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
        });
      });
      sent.on("timeout", () => {
        sent.destroy(new Error(`nothing was heard for ${this.#options.silenceMs / 1000} s`));
      });
      sent.on("error", (error) => {
        reject(signal?.aborted === true ? (signal.reason as Error) : connectionError(request.url, error));
      });
      sent.on("upgrade", (_response, socket) => {
        socket.destroy();
        // Without a cause: another try would change nothing.
        reject(new HttpError(`${displayUrl(request.url)} wants to speak another protocol than HTTP`));
      });
      // Does nothing after an answer or an error; whatever else may end a request must not leave this waiting.
      sent.on("close", () => {
        reject(connectionError(request.url, new Error("the connection was closed without an answer")));
      });
      sent.end(request.body);
    });
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

/** Leaves out the query: what a registry redirects to is often signed there. */
export function displayUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

const hints: Readonly<Record<string, string>> = {
  ENOTFOUND: "Check the registry's name and this machine's network and DNS.",
  EAI_AGAIN: "Check this machine's network and DNS.",
  ECONNREFUSED: "Check that the registry runs and that the port is right.",
  EPROTO: "The registry may speak plain HTTP: allow it with insecure().",
  ERR_SSL_WRONG_VERSION_NUMBER: "The registry may speak plain HTTP: allow it with insecure().",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "The registry may speak plain HTTP: allow it with insecure().",
  DEPTH_ZERO_SELF_SIGNED_CERT: "Add the registry's certificate with caCerts(), or allow it with insecure().",
  SELF_SIGNED_CERT_IN_CHAIN: "Add the registry's CA certificate with caCerts(), or allow it with insecure().",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "Add the registry's CA certificate with caCerts(), or allow it with insecure().",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "Add the registry's CA certificate with caCerts(), or allow it with insecure().",
  CERT_HAS_EXPIRED: "The registry's certificate has expired; check this machine's clock as well.",
  ERR_TLS_CERT_ALTNAME_INVALID: "The registry's certificate is for another name.",
};

export function connectionError(url: URL, error: unknown): HttpError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = error instanceof Error && error.message !== "" ? error.message.trim() : code;
  return new HttpError(`cannot reach ${displayUrl(url)}: ${reason}`, { cause: error, hint: hints[code] });
}

/**
 * Reads a body that is expected to be small.
 *
 * @throws HttpError when it is longer than `limit` bytes or ends too early
 */
export async function readBody(response: HttpResponse, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body) {
      if (!(chunk instanceof Buffer)) throw new TypeError("the body is no stream of bytes");
      length += chunk.length;
      if (length > limit) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw connectionError(response.url, error);
  } finally {
    response.body.destroy();
  }
  if (length > limit) throw new HttpError(`${displayUrl(response.url)} sent more than ${limit} bytes`);
  return Buffer.concat(chunks);
}
