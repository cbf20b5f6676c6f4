import { InvalidConfigError } from "../../../errors/index.ts";
import { networkOf, type NetworkParts } from "../network-of.ts";
import type { OutboundProxy } from "../network-type.ts";

/** Who a proxy is told that connects. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Who a proxy is told that connects; null when nobody is. SOCKS 4 knows no passwords.
 *
 * @param environment of the host, where the password is
 * @throws InvalidConfigError when it is not there, or is longer than the proxy's protocol allows
 */
export function credentialsOf(
  proxy: OutboundProxy,
  environment: Readonly<Record<string, string | undefined>>,
): Credentials | null {
  if (proxy.kind === "socks4") return null;
  const { kind, username, passwordEnv } = proxy;
  if (username === null) return null;
  const password = passwordEnv === null ? "" : environment[passwordEnv];
  if (password === undefined)
    throw new InvalidConfigError(`the proxy's password is to be in ${passwordEnv ?? ""}, which is not set`, {
      hint: "Set this variable in the environment of the program that starts the sandbox.",
    });
  if (kind === "socks5" && (Buffer.byteLength(username) > 255 || Buffer.byteLength(password) > 255))
    throw new InvalidConfigError("a proxy's user name or password has more than 255 bytes", {
      hint: "SOCKS 5 has no room for longer ones (RFC 1929).",
    });
  return { username, password };
}

/**
 * Whether a sandbox's proxy can be told what it wants: before anything is made or ended for it.
 *
 * @param environment as {@link credentialsOf}
 * @throws InvalidConfigError
 */
export function checkProxyCredentials(
  config: NetworkParts,
  environment: Readonly<Record<string, string | undefined>>,
): void {
  const proxy = networkOf(config)?.proxy ?? null;
  if (proxy !== null) credentialsOf(proxy, environment);
}
