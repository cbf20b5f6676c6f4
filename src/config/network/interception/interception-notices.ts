import type { NetworkConfig } from "../network-type.ts";
import type { NetworkPolicy, Rule } from "../policy-type.ts";
import { anyHost, matchesHost, mostSpecific, type HostPattern } from "./host-pattern.ts";
import type { SecretConfig } from "./secret-type.ts";
import type { TlsConfig } from "./tls-type.ts";

type Parts = Pick<NetworkConfig, "policy" | "observe" | "tls" | "secrets" | "http">;

/** Bytes. A shorter one may be in what a program sends by chance, and is then a secret that goes where it may not. */
const shortPlaceholder = 6;

/** What a user should know of secrets and rules about requests that are allowed and may not be meant. */
export function interceptionNotices({ policy, observe, tls, secrets, http }: Parts): string[] {
  const notices = secrets.flatMap((secret) => {
    const unreached = observe ? [] : secret.hosts.filter((host) => isUnreachable(policy, tls, host));
    return [
      ...unreached.map(
        (host) => `the policy lets nobody reach ${host}, which may have the secret ${secret.envVar}`,
      ),
      ...bypassed(tls, secret),
      ...unproved(tls, secret),
      ...(Buffer.byteLength(secret.placeholder) < shortPlaceholder
        ? [`the placeholder of ${secret.envVar} is so short that it may be in what is sent by chance`]
        : []),
    ];
  });
  for (const rule of http?.rules ?? [])
    if (rule.host !== anyHost && isBypassed(tls, rule.host))
      notices.push(`rules about requests to ${rule.host} do nothing: its TLS is bypassed`);
  return notices;
}

function bypassed(tls: TlsConfig | null, { envVar, hosts }: SecretConfig): string[] {
  return hosts
    .filter((host) => isBypassed(tls, host))
    .map((host) => `the secret ${envVar} is never put in on the way to ${host}: its TLS is bypassed`);
}

function unproved(tls: TlsConfig | null, { envVar, hosts }: SecretConfig): string[] {
  if (tls === null) return [];
  const { verifyUpstream, scopedVerifyUpstream } = tls;
  return hosts
    .filter((host) => !(mostSpecific(scopedVerifyUpstream, nameIn(host))?.verify ?? verifyUpstream))
    .map((host) => `${host} need not prove who it is, and may have the secret ${envVar}`);
}

/** Whether all names of a pattern are bypassed. */
function isBypassed(tls: TlsConfig | null, host: HostPattern): boolean {
  return tls?.bypass.some((pattern) => covers(pattern, host)) === true;
}

/** Whether every name of the second is one of the first. */
function covers(pattern: HostPattern, host: HostPattern): boolean {
  if (host === anyHost) return pattern === anyHost;
  if (host.startsWith("*.") && !pattern.startsWith("*")) return false;
  return matchesHost(pattern, nameIn(host));
}

/** A name that a pattern is about. */
function nameIn(host: HostPattern): string {
  return host.startsWith("*.") ? host.slice(2) : host;
}

/**
 * Whether nothing of a policy lets the guest connect to a name. Which addresses names have is not known here: a rule that allows some
 * addresses may be about it, and one that denies some may not.
 */
function isUnreachable(policy: NetworkPolicy, tls: TlsConfig | null, host: HostPattern): boolean {
  if (host === anyHost)
    return policy.defaultEgress === "deny" && policy.rules.every(({ action }) => action === "deny");
  const ports = tls === null || tls.interceptedPorts.length === 0 ? [443] : tls.interceptedPorts;
  return ports.every((port) => !mayReach(policy, host, port));
}

function mayReach(policy: NetworkPolicy, host: HostPattern, port: number): boolean {
  for (const rule of policy.rules) {
    if (rule.direction === "ingress" || !isAbout(rule, port)) continue;
    const match = matchOf(rule.destination, host);
    if (match === "no" || (match === "maybe" && rule.action === "deny")) continue;
    return rule.action === "allow";
  }
  return policy.defaultEgress === "allow";
}

function isAbout({ protocols, ports }: Rule, port: number): boolean {
  const isTcp = protocols.length === 0 || protocols.includes("tcp");
  return isTcp && (ports.length === 0 || ports.some(({ start, end }) => start <= port && port <= end));
}

function matchOf(destination: Rule["destination"], host: HostPattern): "yes" | "maybe" | "no" {
  switch (destination.kind) {
    case "any":
      return "yes";
    case "domain":
      return ofPattern(destination.domain, host);
    case "domainSuffix":
      return ofPattern(`*.${destination.suffix}`, host);
    case "cidr":
    case "group":
      return "maybe";
  }
}

function ofPattern(pattern: HostPattern, host: HostPattern): "yes" | "maybe" | "no" {
  if (covers(pattern, host)) return "yes";
  // A rule about some of the names.
  return host.startsWith("*.") && matchesHost(host, nameIn(pattern)) ? "maybe" : "no";
}
