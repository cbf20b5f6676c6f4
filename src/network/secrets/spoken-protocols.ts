import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import { isMeantFor } from "./standing.ts";

/**
 * The protocols that are offered to a server. Where a secret is put into bodies HTTP/2 is left out, as long as there is another: bodies of
 * HTTP/2 are not changed.
 *
 * @param offered by the guest and readable (ALPN)
 */
export function spokenProtocols(
  offered: readonly string[],
  secrets: readonly SecretConfig[],
  serverName: string,
): readonly string[] {
  if (!offered.includes("http/1.1")) return offered;
  const isForBodies = secrets.some((secret) => secret.injection.body && isMeantFor(secret, serverName));
  return isForBodies ? offered.filter((protocol) => protocol !== "h2") : offered;
}
