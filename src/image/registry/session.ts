import { HttpError, ImageError } from "../../errors/index.ts";
import type { Credential } from "../credentials/credential.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import { HttpConnections, type HttpResponse } from "./http.ts";
import { bareHost, isLoopback } from "./proxy.ts";
import { isAboutAccess, readReason, withReason } from "./reason.ts";
import { sendFollowing } from "./redirect.ts";
import { isCertificateFailure, withRetries, type RetryPolicy } from "./retry.ts";
import { basicAuthorization, fetchToken, type Token } from "./token.ts";

export interface SessionOptions {
  /** As in the reference: `docker.io`, `ghcr.io`, `localhost:5000`. */
  readonly domain: string;
  readonly credential: Credential | null;
  /** What is worth saying when the registry refuses: why no credential was found. */
  readonly credentialNotes: readonly string[];
  /** Docker's "insecure registry": TLS without verification, or else plain HTTP. */
  readonly insecure: boolean;
  readonly caCertificates: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly retry: RetryPolicy;
  readonly silenceMs: number;
}

export interface RegistryRequest {
  readonly method: "GET" | "HEAD";
  /** Below `/v2/`. */
  readonly path: string;
  /** The repository that is read; empty for the registry itself, which a login is tried on. */
  readonly repository: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

/** A token is renewed this long before it expires, in milliseconds. */
const renewBeforeMs = 10_000;

/**
 * Talks to one registry as one user: finds out whether it speaks TLS, answers its challenges, keeps its tokens in memory.
 */
export class RegistrySession implements Disposable {
  readonly host: string;
  readonly retry: RetryPolicy;
  readonly #options: SessionOptions;
  readonly #connections: HttpConnections;
  readonly #loopback: boolean;
  #base: Promise<URL> | null = null;
  /** The challenge that the registry answered last, so that later requests need no 401 first. */
  #challenge: Challenge | null = null;
  readonly #tokens = new Map<string, Promise<Token>>();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.retry = options.retry;
    this.host = options.domain === "docker.io" ? "registry-1.docker.io" : options.domain;
    const url = new URL(`https://${this.host}`);
    this.#loopback = isLoopback(bareHost(url));
    this.#connections = new HttpConnections({
      caCertificates: options.caCertificates,
      unverifiedHost: options.insecure ? url.host : null,
      environment: options.environment,
      silenceMs: options.silenceMs,
    });
  }

  /**
   * One try, without retries on failures; answers 401 by itself.
   *
   * @throws ImageError when the registry does not let this user in; HttpError
   */
  async sendOnce(request: RegistryRequest): Promise<HttpResponse> {
    const base = await this.#findBase(request.signal);
    const url = new URL(request.path, base);
    const scope = request.repository === "" ? "" : `repository:${request.repository}:pull`;
    for (let refused = 0; ; refused += 1) {
      const authorization = await this.#authorization(scope, request.signal);
      const response = await sendFollowing(
        this.#connections,
        {
          method: request.method,
          url,
          headers: { ...request.headers, ...(authorization === null ? {} : { authorization }) },
          signal: request.signal,
        },
        this.#allowPlain,
      );
      if (response.status !== 401) return response;
      const challenge = this.#choose(response.header("www-authenticate") ?? "");
      this.#tokens.delete(scope);
      // The first 401 says how to log in, or that a token expired early.
      if (challenge === null || refused >= 1) throw await this.refused(request.repository, response);
      response.body.destroy();
      this.#challenge = challenge;
    }
  }

  /**
   * As `sendOnce`, asking again when the answer may be another one later, or breaks off while it is used.
   *
   * @param use reads the answer's body, or destroys it
   */
  send<T>(request: RegistryRequest, use: (response: HttpResponse) => Promise<T> | T): Promise<T> {
    return withRetries(this.retry, request.signal, () => this.sendOnce(request), use);
  }

  /** For a 401 or 403 that no token helps against. */
  async refused(repository: string, response: HttpResponse): Promise<ImageError> {
    const { credential, credentialNotes, domain } = this.#options;
    const { status } = response;
    const reason = await readReason(response);
    const who = credential === null ? "anonymous users" : "this user";
    const what = repository === "" ? "in" : `read ${repository}`;
    const hint =
      credential === null
        ? `Check the image's name; if it is private, log in with "msb registry login ${domain}".`
        : "Check the image's name, the user name and password, and that this user may read the image.";
    // A quota, a policy, a scan: who is logged in does not matter to them, and they say what does.
    const isAccess = status === 401 || isAboutAccess(reason);
    const hints = [...(isAccess ? [hint] : []), ...credentialNotes].join(" ");
    const message = withReason(`${domain} does not let ${who} ${what} (${status})`, reason);
    return new ImageError(message, { hint: hints === "" ? undefined : hints });
  }

  get #allowPlain(): boolean {
    return this.#options.insecure || this.#loopback;
  }

  /** Whether to speak TLS. Plain HTTP is only ever tried where it is allowed, and only after TLS has failed. */
  #findBase(signal: AbortSignal | undefined): Promise<URL> {
    const secure = new URL(`https://${this.host}/v2/`);
    if (!this.#allowPlain) return Promise.resolve(secure);
    this.#base ??= this.#probe(secure, signal).catch((error: unknown) => {
      this.#base = null;
      throw error;
    });
    return this.#base;
  }

  async #probe(secure: URL, signal: AbortSignal | undefined): Promise<URL> {
    try {
      const response = await this.#connections.send({ method: "GET", url: secure, headers: {}, signal });
      response.body.destroy();
      return secure;
    } catch (error) {
      if (isCertificateFailure(error) || !(error instanceof HttpError)) throw error;
      // Whatever else went wrong, as docker has it: a peer without TLS may as well reset the connection, say nothing, or
      // not listen on the port of https.
      const plain = new URL(`http://${this.host}/v2/`);
      // Whoever asks the question behind this one tries again, this with it.
      const response = await this.#connections.send({ method: "GET", url: plain, headers: {}, signal });
      response.body.destroy();
      return plain;
    }
  }

  #choose(header: string): Challenge | null {
    const challenges = parseChallenges(header);
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"),
    );
    if (bearer !== undefined) return bearer;
    const basic = challenges.find(({ scheme }) => scheme === "basic");
    return basic !== undefined && this.#options.credential?.kind === "basic" ? basic : null;
  }

  async #authorization(scope: string, signal: AbortSignal | undefined): Promise<string | null> {
    const { credential } = this.#options;
    const challenge = this.#challenge;
    if (challenge === null) return null;
    if (challenge.scheme === "basic") {
      return credential?.kind === "basic"
        ? basicAuthorization(credential.username, credential.password)
        : null;
    }
    let pending = this.#tokens.get(scope);
    if (pending !== undefined && (await pending).expiresAt - renewBeforeMs < Date.now()) {
      if (this.#tokens.get(scope) === pending) this.#tokens.delete(scope);
      pending = this.#tokens.get(scope);
    }
    if (pending === undefined) {
      pending = fetchToken(this.#connections, {
        challenge,
        scope,
        credential,
        allowPlain: this.#allowPlain,
        retry: this.retry,
        signal,
      });
      this.#tokens.set(scope, pending);
      pending.catch(() => {
        if (this.#tokens.get(scope) === pending) this.#tokens.delete(scope);
      });
    }
    return `Bearer ${(await pending).value}`;
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
  }
}
