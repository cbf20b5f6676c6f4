import { isIP } from "node:net";
import { dnsPort } from "../../../config/network/nameserver.ts";
import type { Server } from "./server.ts";

/** As many as the C library takes (MAXNS of resolv.h). */
const mostServers = 3;

/**
 * The servers of a resolv.conf(5). Without any it is the one of this machine, as for the C library. Search domains and options are the
 * host's own business.
 */
export function readResolvConf(text: string): readonly Server[] {
  const servers: Server[] = [];
  for (const line of text.split("\n")) {
    const [, host] = /^nameserver[ \t]+([^\s;#]+)/.exec(line) ?? [];
    if (host !== undefined && isIP(host) !== 0 && servers.length < mostServers)
      servers.push({ host, port: dnsPort });
  }
  return servers.length > 0 ? servers : [{ host: "127.0.0.1", port: dnsPort }];
}
