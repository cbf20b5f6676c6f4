import { setTimeout as sleep } from "node:timers/promises";
import { HttpError, type ErrorOptionsWithHint } from "../../errors/index.ts";
import type { HttpResponse } from "./http.ts";
import { isLoopback } from "./proxy.ts";

/** How often and how patiently something is asked again. */
export interface RetryPolicy {
  /** Tries in all. */
  readonly attempts: number;
  /** The wait before the second try, in milliseconds; it doubles with every further one. */
  readonly baseMs: number;
  /** The longest single wait, also when the server asks for more. */
  readonly maximumMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { attempts: 6, baseMs: 300, maximumMs: 30_000 };

/** Answers that may be another one later: too many requests, and failures of the server or of something before it. */
const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export function isTransientStatus(status: number): boolean {
  return transientStatuses.has(status);
}

/** A registry, or its token service, has answered with a status that is no success. */
export class StatusError extends HttpError {
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptionsWithHint) {
    super(message, options);
    this.status = status;
  }
}

/**
 * Whether a pull stopped in the middle, and a later one can go on from there: the connection broke, or the server failed.
 * Nothing was refused.
 */
export function isInterruption(error: unknown): boolean {
  if (error instanceof StatusError) return isTransientStatus(error.status);
  return error instanceof HttpError && error.cause !== undefined && !isCertificateFailure(error);
}

/** Failures of a connection that another try does not change; so are those of certificates. */
const lasting: ReadonlySet<string> = new Set(["EPROTO", "ENOTFOUND"]);

/** Node's documentation, "TLS (SSL)", "X509 certificate error codes", and its own one for a wrong name. */
const certificateFailures: ReadonlySet<string> = new Set([
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERROR_IN_CERT_NOT_AFTER_FIELD",
  "ERROR_IN_CERT_NOT_BEFORE_FIELD",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
  "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Whether the peer speaks TLS, and its certificate is the problem. */
export function isCertificateFailure(error: unknown): boolean {
  return certificateFailures.has(causeCode(error));
}

/** The Node or OpenSSL code of what made a connection fail. */
function causeCode(error: unknown): string {
  const cause = error instanceof HttpError ? error.cause : error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}

export function isTransientFailure(error: unknown): boolean {
  if (!(error instanceof HttpError) || error.cause === undefined) return false;
  const code = causeCode(error);
  if (code === "ECONNREFUSED") return !isRefusedHere(error.cause);
  return !lasting.has(code) && !certificateFailures.has(code) && !code.startsWith("ERR_");
}

/** No network is between: nobody listens on that port of this machine. */
function isRefusedHere(cause: unknown): boolean {
  const errors: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
  return errors.every(
    (error) =>
      error instanceof Error &&
      "address" in error &&
      typeof error.address === "string" &&
      isLoopback(error.address),
  );
}

/**
 * Waits before try number `attempt` + 1: exponential, the upper half of it random so that clients that failed together do
 * not come back together. A `Retry-After` (RFC 9110, 10.2.3) makes it longer, never shorter.
 */
export async function backOff(
  attempt: number,
  policy: RetryPolicy,
  retryAfter: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const exponential = policy.baseMs * 2 ** (attempt - 1);
  const jittered = exponential * (0.5 + Math.random() / 2);
  const asked = retryAfter === undefined ? 0 : retryAfterMs(retryAfter);
  const wait = Math.min(Math.max(jittered, asked), policy.maximumMs);
  await sleep(wait, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    throw signal?.aborted === true ? signal.reason : error;
  });
}

/** Seconds or an HTTP date; 0 for anything else. */
export function retryAfterMs(value: string, now: number = Date.now()): number {
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}

/**
 * Sends until an answer comes that will not be another one later and can be used; the last answer is used whatever it is.
 *
 * @param use reads the answer: a body that breaks off is a failure like any other
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  send: () => Promise<HttpResponse>,
  use: (response: HttpResponse) => Promise<T> | T,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    let retryAfter: string | undefined;
    try {
      const response = await send();
      if (!isTransientStatus(response.status) || attempt >= policy.attempts) return await use(response);
      retryAfter = response.header("retry-after");
      response.body.destroy();
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= policy.attempts || !isTransientFailure(error)) throw error;
    }
    await backOff(attempt, policy, retryAfter, signal);
  }
}
