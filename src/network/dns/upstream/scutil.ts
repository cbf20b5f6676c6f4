import { isIP } from "node:net";
import { dnsPort } from "../../../config/network/nameserver.ts";
import type { Server } from "./server.ts";

/** Servers for the names that end in a domain; empty: for all others. */
export interface ScopedServers {
  readonly domain: string;
  readonly servers: readonly Server[];
}

/**
 * Reads what `scutil --dns` prints of macOS's resolver configuration: blocks `resolver #1` with lines `nameserver[0] : 192.0.2.1`. A block
 * with a domain is for names in it, a VPN's mostly. Those of multicast DNS are left out, and so is the second list, whose servers are
 * for programs that ask on one interface. Of blocks for one domain the first counts: the system prints them in its order.
 */
export function readScutil(text: string): readonly ScopedServers[] {
  const [general = ""] = text.split(/^DNS configuration \(for scoped queries\)/m);
  const sets = new Map<string, ScopedServers>();
  for (const block of general.split(/^resolver #\d+/m).slice(1)) {
    const values = (key: string): string[] =>
      [...block.matchAll(new RegExp(`^\\s*${key}(?:\\[\\d+\\])?\\s*:\\s*(.+?)\\s*$`, "gm"))].map(
        ([, value = ""]) => value,
      );
    if (values("options").some((options) => /\bmdns\b/.test(options))) continue;
    const [port = ""] = values("port");
    const servers = values("nameserver")
      .filter((host) => isIP(host) !== 0)
      .map((host) => ({ host, port: /^\d+$/.test(port) && port !== "0" ? Number(port) : dnsPort }));
    const domain = (values("domain")[0] ?? "").toLowerCase().replace(/\.$/, "");
    if (servers.length > 0 && !sets.has(domain)) sets.set(domain, { domain, servers });
  }
  // The first block is the one for everything, also where it names the host's own domain.
  const [first] = sets.values();
  if (first !== undefined && !sets.has("")) sets.set("", { domain: "", servers: first.servers });
  return [...sets.values()];
}
