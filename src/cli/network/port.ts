import type { PublishedPort } from "../../config/network/network-type.ts";
import { checkPort } from "../../config/network/ports.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { UsageError } from "../output/usage-error.ts";

/**
 * `[BIND:]HOST:GUEST[/tcp|/udp][,proxy-protocol]`, an IPv6 BIND in brackets.
 *
 * @throws UsageError
 */
export function parsePort(text: string): PublishedPort {
  const match =
    /^(?:(?:\[([^[\]]*)\]|([^:[\]]*)):)?(\d{1,5}):(\d{1,5})(?:\/([a-z]+))?(,proxy-protocol)?$/.exec(text);
  const [, ipv6, bind, host, guest, protocol = "tcp", proxyProtocol] = match ?? [];
  if (match === null || (protocol !== "tcp" && protocol !== "udp")) {
    throw new UsageError(
      `"${text}" is not a port to publish.`,
      "Ports are written [BIND:]HOST:GUEST[/udp]: 8080:80, 0.0.0.0:5353:53/udp, [::1]:8080:80",
    );
  }
  return usable(() =>
    checkPort(`"${text}"`, {
      hostPort: Number(host),
      guestPort: Number(guest),
      protocol,
      ...(ipv6 === undefined && bind === undefined ? {} : { hostBind: ipv6 ?? bind ?? "" }),
      proxyProtocol: proxyProtocol !== undefined,
    }),
  );
}

/**
 * What the SDK's check of a value makes; what it refuses is a mistake on the command line.
 *
 * @throws UsageError
 */
export function usable<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof InvalidConfigError) throw new UsageError(ended(error.message), error.hint);
    throw error;
  }
}

function ended(sentence: string): string {
  return sentence.endsWith("?") ? sentence : `${sentence}.`;
}
