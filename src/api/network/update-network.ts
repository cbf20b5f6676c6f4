import type { NetworkRateLimiterConfig } from "../../config/network/network-type.ts";
import { checkNetworkUpdate, type NetworkUpdate } from "../../config/network/network-update.ts";
import type { NetworkPolicy, Rule } from "../../config/network/policy-type.ts";
import type { PortInput } from "../../config/network/ports.ts";

/** Something, or a builder of it. */
type BuiltOf<T> = T | { build(): T };

/** Which published port; without a protocol TCP, without an address the only one with this number. */
export interface PublishedPortName {
  readonly hostPort: number;
  readonly hostBind?: string;
  readonly protocol?: "tcp" | "udp";
}

/** What is to change on a running sandbox's network; what is left out stays as it is. */
export interface NetworkChanges {
  /** In place of the one that there is. */
  readonly policy?: BuiltOf<NetworkPolicy>;
  /** Put before the rules that there are, so that they decide. Not together with `policy`. */
  readonly addRules?: readonly Rule[];
  /** Whether everything is allowed and only noted. */
  readonly observe?: boolean;
  readonly publish?: readonly PortInput[];
  readonly unpublish?: readonly PublishedPortName[];
  readonly maxConnections?: number;
  /** null: no limits. */
  readonly rateLimiter?: BuiltOf<NetworkRateLimiterConfig> | null;
}

/** The options of `updateNetwork()` beside those of waiting. */
export interface NetworkUpdateOptions {
  /** Whether the sandbox begins with it when it is started again. By default what was changed is over with this run. */
  readonly persist?: boolean;
}

export const networkUpdateOptions = { persist: "boolean" } as const;

/** @throws InvalidConfigError that names what is wrong, and what a builder throws */
export function checkNetworkChanges(changes: NetworkChanges): NetworkUpdate {
  const given: unknown = changes;
  if (typeof given !== "object" || given === null) return checkNetworkUpdate(given);
  const built = Object.entries(given).map(([key, value]): [string, unknown] => [key, builtOf(value)]);
  return checkNetworkUpdate(Object.fromEntries(built));
}

function builtOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("build" in value)) return value;
  return typeof value.build === "function" ? (value.build as () => unknown).call(value) : value;
}
