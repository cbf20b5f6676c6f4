import { HttpError } from "../../errors/index.ts";
import { displayUrl } from "./connection-error.ts";
import type { HttpConnections, HttpRequest, HttpResponse } from "./http.ts";

const maximumRedirects = 8;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Sends a GET or HEAD and follows redirects. What another host is redirected to never sees the credentials, and a redirect
 * out of TLS is refused.
 *
 * @param allowPlain whether a redirect may lead to plain HTTP: the registry is on this machine, or allowed to be insecure
 * @throws HttpError
 */
export async function sendFollowing(
  connections: HttpConnections,
  request: HttpRequest,
  allowPlain: boolean,
): Promise<HttpResponse> {
  let current = request;
  for (let followed = 0; ; followed += 1) {
    const response = await connections.send(current);
    if (!redirects.has(response.status)) return response;
    response.body.destroy();
    const location = response.header("location") ?? "";
    const target = URL.parse(location, current.url.href);
    if (target === null || (target.protocol !== "https:" && target.protocol !== "http:")) {
      throw new HttpError(`${displayUrl(current.url)} redirects to nowhere`);
    }
    if (followed >= maximumRedirects) {
      throw new HttpError(`${displayUrl(request.url)} redirects more than ${maximumRedirects} times`);
    }
    // This machine's own addresses are no exception: a remote registry has no business with what listens here.
    if (target.protocol === "http:" && !allowPlain) {
      throw new HttpError(
        `${displayUrl(current.url)} redirects to ${displayUrl(target)}, which is not encrypted`,
        {
          hint: "If this registry is trusted all the same, allow it with insecure().",
        },
      );
    }
    target.username = "";
    target.password = "";
    const headers = { ...current.headers };
    if (target.origin !== current.url.origin) delete headers["authorization"];
    current = { ...current, url: target, headers };
  }
}
