import * as v from "valibot";
import { HttpError, ImageError } from "../../errors/index.ts";
import type { Challenge } from "./challenge.ts";
import type { Credential } from "../credentials/credential.ts";
import { readBody } from "./body.ts";
import { displayUrl } from "./connection-error.ts";
import type { HttpConnections, HttpRequest } from "./http.ts";
import { isAboutAccess, reasonOf, withReason } from "./reason.ts";
import { sendFollowing } from "./redirect.ts";
import { StatusError, withRetries, type RetryPolicy } from "./retry.ts";

/** A bearer token, held in memory only. */
export interface Token {
  readonly value: string;
  /** In milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface TokenRequest {
  readonly challenge: Challenge;
  /** What the token is to allow; empty to learn only whether the credential is right. */
  readonly scope: string;
  readonly credential: Credential | null;
  /** Whether the registry may be reached without encryption, and so its token service. */
  readonly allowPlain: boolean;
  readonly retry: RetryPolicy;
  readonly signal: AbortSignal | undefined;
}

/** Services write fields that they leave out as null, as an empty string, or the number as a string. */
const answerSchema = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  expires_in: v.optional(v.unknown()),
});

const maximumAnswerBytes = 1 << 20;
/** What the distribution project's token specification gives a token that does not say how long it lives. */
const defaultLifetimeSeconds = 60;

/**
 * Asks the token service that a registry's challenge names (distribution's "Token Authentication Specification"; with an
 * identity token its OAuth2 variant).
 *
 * @throws ImageError when the service refuses the credential, HttpError when it cannot be used
 */
export async function fetchToken(connections: HttpConnections, request: TokenRequest): Promise<Token> {
  const { challenge, credential, signal } = request;
  const realm = URL.parse(challenge.parameters.get("realm") ?? "");
  if (realm === null || (realm.protocol !== "https:" && realm.protocol !== "http:")) {
    throw new HttpError("the registry's challenge names no token service");
  }
  // This machine's own addresses are no exception: a remote registry would choose which service here gets the password.
  if (realm.protocol === "http:" && !request.allowPlain) {
    throw new HttpError(`the registry's token service ${displayUrl(realm)} is not encrypted`, {
      hint: "If this registry is trusted all the same, allow it with insecure().",
    });
  }
  realm.username = "";
  realm.password = "";
  const http = buildRequest(realm, request);
  const { status, reason, body } = await withRetries(
    request.retry,
    signal,
    () =>
      // A POST carries its credential in the body, so it is never sent on to where a redirect leads.
      http.method === "POST" ? connections.send(http) : sendFollowing(connections, http, request.allowPlain),
    async (response) => {
      const content = await readBody(response, maximumAnswerBytes);
      const told = response.status === 200 ? null : reasonOf(content, response.header("content-type"));
      return { status: response.status, reason: told, body: content };
    },
  );
  if (status === 401 || status === 403 || status === 400) {
    throw new ImageError(
      credential === null
        ? withReason(`the token service ${realm.host} gives no anonymous access (${status})`, reason)
        : withReason(`the token service ${realm.host} refuses the user name or password (${status})`, reason),
      {
        hint:
          status === 403 && !isAboutAccess(reason)
            ? undefined
            : credential === null
              ? 'Log in with "msb registry login".'
              : "Check the user name and the password.",
      },
    );
  }
  if (status !== 200) {
    throw new StatusError(status, withReason(`the token service ${realm.host} answered ${status}`, reason));
  }
  return readToken(realm, body);
}

function buildRequest(realm: URL, request: TokenRequest): HttpRequest {
  const { credential, signal } = request;
  const service = request.challenge.parameters.get("service");
  const headers: Record<string, string> = { accept: "application/json" };
  if (credential?.kind === "identityToken") {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: "microsandbox",
      refresh_token: credential.token,
      ...(request.scope === "" ? {} : { scope: request.scope }),
      ...(service === undefined ? {} : { service }),
    });
    headers["content-type"] = "application/x-www-form-urlencoded";
    return { method: "POST", url: realm, headers, body: form.toString(), signal };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  if (request.scope !== "") url.searchParams.append("scope", request.scope);
  if (credential !== null) {
    url.searchParams.set("account", credential.username);
    headers["authorization"] = basicAuthorization(credential.username, credential.password);
  }
  return { method: "GET", url, headers, signal };
}

/** RFC 7617, in UTF-8. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function readToken(realm: URL, body: Buffer): Token {
  let json: unknown = null;
  try {
    json = JSON.parse(body.toString());
  } catch {
    // Reported below, without what was sent: it could hold a token.
  }
  const parsed = v.safeParse(answerSchema, json);
  const value = parsed.success ? (parsed.output.token ?? "") || (parsed.output.access_token ?? "") : "";
  // Only what may stand in a header.
  if (!parsed.success || !/^[\x21-\x7e]+$/.test(value)) {
    throw new HttpError(`the token service ${realm.host} sent no token`);
  }
  const told = Number(parsed.output.expires_in ?? NaN);
  const lifetime = Number.isFinite(told) ? Math.max(told, 1) : defaultLifetimeSeconds;
  return { value, expiresAt: Date.now() + lifetime * 1000 };
}
