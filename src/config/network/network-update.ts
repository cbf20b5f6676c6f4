import { InvalidConfigError } from "../../errors/index.ts";
import { IpAddress } from "../../host/ip/address.ts";
import { checkFlag, checkList, checkOneOf, checkWhole, shown } from "../checks.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import { checkMaxConnections } from "./builders/max-connections.ts";
import { checkRateLimiter } from "./builders/rate-limits.ts";
import type { NetworkConfig, PublishedPort } from "./network-type.ts";
import { checkPolicy, checkPolicySize, checkRule } from "./policy/check-policy.ts";
import type { NetworkPolicy, Rule } from "./policy-type.ts";
import { checkDistinctPorts, checkPort, type PortInput } from "./ports.ts";

/** Which published port. Without `hostBind`, the one on any address of the host that has this number. */
export interface PortName {
  readonly hostBind?: string;
  readonly hostPort: number;
  readonly protocol: "tcp" | "udp";
}

/** What is to change on a running sandbox's network; what is left out stays. */
export interface NetworkUpdate {
  readonly policy?: NetworkPolicy;
  /** Put before the rules that there are. Not together with `policy`. */
  readonly addRules?: readonly Rule[];
  readonly observe?: boolean;
  readonly publish?: readonly PublishedPort[];
  readonly unpublish?: readonly PortName[];
  readonly maxConnections?: number;
  /** null: no limit. */
  readonly rateLimiter?: NetworkConfig["rateLimiter"];
}

/** How each part is checked, by what it is called. */
const checks = {
  policy: (value) => checkPolicy("policy", value),
  addRules: (value) => listOf("addRules", value, checkRule),
  observe: (value) => checkFlag("observe", value as boolean),
  publish: (value) =>
    checkDistinctPorts(listOf("publish", value, (path, port) => checkPort(path, port as PortInput))),
  unpublish: (value) => listOf("unpublish", value, checkName),
  maxConnections: (value) => checkMaxConnections(value as number),
  rateLimiter: (value) => (value === null ? null : checkRateLimiter("rateLimiter", value)),
} as const satisfies { readonly [Key in keyof NetworkUpdate]-?: (value: unknown) => NetworkUpdate[Key] };

/** @throws InvalidConfigError that names what is wrong */
export function checkNetworkUpdate(input: unknown): NetworkUpdate {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new InvalidConfigError(`the change of the network is ${shown(input)}, which is no object`, {
      hint: "Give an object with what is to change, such as { addRules: [] }.",
    });
  }
  refuseUnknownKeys("", input, Object.keys(checks));
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const update: NetworkUpdate = Object.fromEntries(
    given.map(([key, value]) => [key, checks[key as keyof NetworkUpdate](value)]),
  );
  if (update.policy !== undefined && update.addRules !== undefined) {
    throw new InvalidConfigError("policy and addRules exclude each other", {
      hint: "Put the rules into the policy.",
    });
  }
  // Alone they may be too large for a message already.
  const { policy, addRules } = update;
  if (policy !== undefined) checkPolicySize(policy);
  if (addRules !== undefined)
    checkPolicySize({ defaultEgress: "deny", defaultIngress: "deny", rules: addRules });
  return update;
}

/**
 * Reads an update that crossed from another process.
 *
 * @throws InvalidConfigError that names what is wrong
 */
export function parseNetworkUpdate(json: string): NetworkUpdate {
  let given: unknown;
  try {
    given = JSON.parse(json);
  } catch (error) {
    throw new InvalidConfigError("the change of the network is no JSON", { cause: error });
  }
  return checkNetworkUpdate(given);
}

function listOf<T>(name: string, values: unknown, check: (path: string, value: unknown) => T): readonly T[] {
  return [...checkList(name, values as readonly unknown[])].map((value, n) => check(`${name}[${n}]`, value));
}

function checkName(path: string, input: unknown): PortName {
  refuseUnknownKeys(path, input, ["hostPort", "hostBind", "protocol"]);
  const { hostPort, hostBind, protocol = "tcp" } = input as Partial<PortName>;
  const given: unknown = hostBind;
  const bind = typeof given === "string" ? IpAddress.parse(given)?.unmapped() : undefined;
  if (given !== undefined && bind === undefined) {
    throw new InvalidConfigError(`${path}: the address is ${shown(given)}, which is none`, {
      hint: "Give an IP address of this computer, as it was published.",
    });
  }
  return {
    hostPort: checkWhole(`${path}: the host port`, hostPort as number, 1, 65_535),
    protocol: checkOneOf(`${path}: the protocol`, protocol, ["tcp", "udp"] as const),
    ...(bind === undefined ? {} : { hostBind: bind.toString() }),
  };
}
