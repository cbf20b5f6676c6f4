import { anyHost, matchesHost } from "../../config/network/interception/host-pattern.ts";
import type { SecretConfig, ViolationAction } from "../../config/network/interception/secret-type.ts";
import type { Channel } from "../http/channel.ts";
import type { Placeholder } from "./compiled-secrets.ts";

/** What is done about a placeholder that may not go on. */
export type Blocking = Exclude<ViolationAction["kind"], "passthrough">;

/** What a placeholder is on the way to one host. */
export type Standing =
  /** Its place decides which of these secrets is put in, the first that wants to be there; where none does, it goes on as it is. */
  | { readonly kind: "eligible"; readonly secrets: readonly SecretConfig[] }
  /** It goes on as it is. */
  | { readonly kind: "inert" }
  | { readonly kind: "violation"; readonly secret: SecretConfig; readonly action: Blocking };

const severity: readonly Blocking[] = ["block", "block-and-log", "block-and-terminate"];

export function isStricter(one: Blocking, other: Blocking): boolean {
  return severity.indexOf(one) > severity.indexOf(other);
}

/**
 * @param name whom the connection is to: what TLS has proved, or what the request says; null: nobody that can be named
 * @param isConnect the request asks a proxy for a connection: what is in its head is never meant for the name in it
 */
export function standingOf(
  { secrets }: Placeholder,
  channel: Channel,
  name: string | null,
  isConnect: boolean,
  fallback: ViolationAction,
): Standing {
  if (!isConnect) {
    const eligible = secrets.filter((secret) => isEligible(secret, channel, name));
    if (eligible.length > 0) return { kind: "eligible", secrets: eligible };
    if (secrets.some((secret) => isUnproved(secret, channel, name))) return { kind: "inert" };
  }
  let worst: Standing = { kind: "inert" };
  for (const secret of secrets) {
    const action = actionOf(secret, name, fallback);
    if (action === null) continue;
    if (worst.kind === "inert" || isStricter(action, worst.action))
      worst = { kind: "violation", secret, action };
  }
  return worst;
}

/** Whether a host is one of the secret's own. */
export function isMeantFor({ hosts }: SecretConfig, name: string | null): boolean {
  return isAmong(hosts, name);
}

function isAmong(hosts: readonly string[], name: string | null): boolean {
  return hosts.some((pattern) => (name === null ? pattern === anyHost : matchesHost(pattern, name)));
}

/** The name is one of the secret's hosts, and the address that of a name that this host may have. */
function isEligible(secret: SecretConfig, channel: Channel, name: string | null): boolean {
  if (channel.kind === "connect" || (!channel.isProved && secret.requireTlsIdentity)) return false;
  return secret.hosts.some((pattern) => {
    if (pattern === anyHost) return true;
    return (
      name !== null && matchesHost(pattern, name) && channel.isBoundTo((bound) => matchesHost(pattern, bound))
    );
  });
}

/** It is the right server, which has only not proved it. */
function isUnproved(secret: SecretConfig, channel: Channel, name: string | null): boolean {
  if (channel.isProved || !isMeantFor(secret, name)) return false;
  return channel.kind === "connect" || secret.requireTlsIdentity;
}

/** @returns null: none, the placeholder may go there */
function actionOf(
  { onViolation }: SecretConfig,
  name: string | null,
  fallback: ViolationAction,
): Blocking | null {
  for (const action of [onViolation, fallback]) {
    if (action === null) continue;
    if (action.kind !== "passthrough") return action.kind;
    if (isAmong(action.hosts, name)) return null;
  }
  return "block-and-log";
}
