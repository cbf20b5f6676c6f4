import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** What a page offers as a WebSocket's subprotocols: this one, and one that ends with the token. The server chooses this one. */
export const subprotocol = "msb";
const tokenProtocol = "msb.token.";

/** By what names a browser on this computer may know the server. They stay the same where the port is forwarded. */
const loopbackNames: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** Why a request is not answered. */
export interface Refusal {
  readonly status: 401 | 403;
  readonly message: string;
}

/** A token that nobody can guess: 256 bits, in characters that may stand in a URL and in a subprotocol. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/**
 * Whether a request comes from the dashboard's own page, as far as the browser tells. A page of another site cannot make it lie:
 *
 * - a name that was rebound to this computer (DNS rebinding) stands in `Host`,
 * - another page's own address stands in `Origin`, and what it may do across sites is none of this (`Sec-Fetch-Site`).
 *
 * Programs on this computer can say what they like; the token is what keeps them out.
 *
 * @param needsOrigin for what every browser sends it with: WebSockets
 */
export function refuseForeign(request: IncomingMessage, needsOrigin = false): Refusal | null {
  const { host, origin, "sec-fetch-site": site } = request.headers;
  const name = host?.replace(/:\d{1,5}$/, "").toLowerCase();
  if (host === undefined || name === undefined || !loopbackNames.has(name))
    return { status: 403, message: "the dashboard is only there under 127.0.0.1 and localhost" };
  const isOwn = origin === undefined ? !needsOrigin : origin.toLowerCase() === `http://${host.toLowerCase()}`;
  // A link from elsewhere may lead to the page itself; nothing else may come from there.
  const isNavigation = request.method === "GET" && request.headers["sec-fetch-mode"] === "navigate";
  const isSame = site === undefined || site === "same-origin" || site === "none" || isNavigation;
  if (isOwn && isSame) return null;
  return { status: 403, message: "a page of another origin may not use the dashboard" };
}

/** The same for what needs the token, which is in no address: browsers and proxies write those down. */
export function refuseStranger(request: IncomingMessage, token: string): Refusal | null {
  const [, given = ""] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "") ?? [];
  return isToken(given, token) ? null : wrongToken;
}

/** The same for a WebSocket, whose headers a page cannot choose: the token is one of the subprotocols that it offers. */
export function refuseStrangeSocket(request: IncomingMessage, token: string): Refusal | null {
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
  const given = offered.find((each) => each.startsWith(tokenProtocol))?.slice(tokenProtocol.length) ?? "";
  return isToken(given, token) && offered.includes(subprotocol) ? null : wrongToken;
}

const wrongToken: Refusal = {
  status: 401,
  message: "the token is missing or wrong: open the address that msb dashboard has printed",
};

function isToken(given: string, token: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(token)];
  return one.length === other.length && timingSafeEqual(one, other);
}
