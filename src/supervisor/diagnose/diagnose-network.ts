import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Family } from "../../host/ip/address.ts";
import { routedFamilies } from "../../start/inputs/network.ts";
import type { Finding } from "./finding.ts";

const echoTimeoutMs = 5_000;

/**
 * What this host lets guests have of a network.
 *
 * @param agentProgram the agent's, which also runs on this host; null when it does not
 */
export async function inspectNetwork(agentProgram: string | null): Promise<Finding[]> {
  return [networkFinding(await routedFamilies()), pingFinding(await echoAllowed(agentProgram))];
}

/** @param families that this host has a way out for */
export function networkFinding(families: readonly Family[]): Finding {
  const name = "network";
  if (families.length === 2) return { name, status: "ok", detail: "IPv4 and IPv6", fix: "" };
  const [family] = families;
  if (family === undefined) {
    return {
      name,
      status: "warning",
      detail: "this host has no way out: guests have no addresses",
      fix: "Connect it to a network, or give a sandbox addresses of its own.",
    };
  }
  const detail = `IPv${family}; this host has no way out by IPv${family === 4 ? 6 : 4}, so neither have guests`;
  return { name, status: "info", detail, fix: "" };
}

/** @param allowed by IPv4 and IPv6; null when that cannot be found out */
export function pingFinding(allowed: readonly [boolean, boolean] | null): Finding {
  const name = "ping";
  if (allowed?.every(Boolean) === true)
    return { name, status: "ok", detail: "guests can ping, in this user's name", fix: "" };
  if (allowed === null)
    return { name, status: "info", detail: "guests can ping their gateway only, on this host", fix: "" };
  return {
    name,
    status: "info",
    detail: "this user may not ping without privileges, so guests can ping their gateway only",
    fix: 'Allow it if you want that: sudo sysctl -w net.ipv4.ping_group_range="0 2147483647".',
  };
}

async function echoAllowed(program: string | null): Promise<[boolean, boolean] | null> {
  if (program === null || process.platform !== "linux") return null;
  try {
    const { stdout } = await promisify(execFile)(program, ["--echo-allowed"], { timeout: echoTimeoutMs });
    const [four, six] = stdout.trim().split(" ");
    return [four === "1", six === "1"];
  } catch {
    return null;
  }
}
