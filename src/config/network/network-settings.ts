import { defaultDns, defaultInterface, defaultMaxConnections } from "./network-defaults.ts";
import type {
  DnsConfig,
  InterfaceConfig,
  NetworkRateLimiterConfig,
  OutboundProxy,
  PublishedPort,
} from "./network-type.ts";
import {
  filledInterception,
  interceptionAsRead,
  interceptionSettingsOf,
  joinInterception,
  nothingIntercepted,
  type AskedInterception,
  type InterceptionSettings,
} from "./interception/interception-settings.ts";
import { networkOf, type NetworkParts, type StoredNetwork } from "./network-of.ts";
import { NetworkPolicy, withFirstRules } from "./policy/network-policy.ts";
import type { Rule } from "./policy-type.ts";

type Open<T> = { readonly [Key in keyof T]: T[Key] | null };

/** How names are asked. `null`: not set. */
export interface DnsSettings extends Open<Omit<DnsConfig, "nameservers">> {
  /** Empty: the host's own. */
  readonly nameservers: readonly string[];
}

/** The guest's network interface. `null`: not set. */
export type InterfaceSettings = Open<InterfaceConfig>;

/** A sandbox's network as it was asked for, or, of a sandbox that exists, as it is. `null`: not set. */
export interface NetworkSettings extends InterceptionSettings {
  /** false: the guest has no network interface. */
  readonly enabled: boolean;
  readonly ports: readonly PublishedPort[];
  readonly policy: NetworkPolicy | null;
  readonly observe: boolean;
  readonly dns: DnsSettings | null;
  readonly interface: InterfaceSettings | null;
  readonly maxConnections: number | null;
  readonly rateLimiter: NetworkRateLimiterConfig | null;
  readonly outboundProxy: OutboundProxy | null;
}

/** What was said of a network so far. */
export interface AskedNetwork
  extends Open<Omit<NetworkSettings, keyof InterceptionSettings>>, AskedInterception {
  readonly ports: readonly PublishedPort[];
  /** They go before the rules of the policy, whichever that is in the end. */
  readonly firstRules: readonly Rule[];
}

export const nothingAsked: AskedNetwork = {
  ...nothingIntercepted,
  enabled: null,
  ports: [],
  policy: null,
  firstRules: [],
  observe: null,
  dns: null,
  interface: null,
  maxConnections: null,
  rateLimiter: null,
  outboundProxy: null,
};

/**
 * What is said later counts; ports, rules that go first and secrets are added to those before.
 *
 * @throws InvalidConfigError for two secrets in one variable
 */
export function joinNetworks(earlier: AskedNetwork | null, later: AskedNetwork): AskedNetwork {
  if (earlier === null) return later;
  const ofRates = { ...said(earlier.rateLimiter), ...said(later.rateLimiter) };
  return {
    ...joinInterception(earlier, later),
    enabled: later.enabled ?? earlier.enabled,
    ports: [...earlier.ports, ...later.ports],
    policy: later.policy ?? earlier.policy,
    firstRules: [...earlier.firstRules, ...later.firstRules],
    observe: later.observe ?? earlier.observe,
    dns: joinDns(earlier.dns, later.dns),
    interface: joinInterface(earlier.interface, later.interface),
    maxConnections: later.maxConnections ?? earlier.maxConnections,
    rateLimiter: Object.keys(ofRates).length === 0 ? null : { egress: null, ingress: null, ...ofRates },
    outboundProxy: later.outboundProxy ?? earlier.outboundProxy,
  };
}

function joinDns(earlier: DnsSettings | null, later: DnsSettings | null): DnsSettings | null {
  if (earlier === null || later === null) return later ?? earlier;
  const nameservers = later.nameservers.length > 0 ? later.nameservers : earlier.nameservers;
  return { ...earlier, ...said(later), nameservers };
}

function joinInterface(
  earlier: InterfaceSettings | null,
  later: InterfaceSettings | null,
): InterfaceSettings | null {
  if (earlier === null || later === null) return later ?? earlier;
  return { ...earlier, ...said(later) };
}

/** Without what is null. */
function said<T extends object>(values: T | null): Partial<{ [Key in keyof T]: NonNullable<T[Key]> }> {
  return Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => value !== null)) as Partial<{
    [Key in keyof T]: NonNullable<T[Key]>;
  }>;
}

/** What was asked for, as users read it. @throws InvalidConfigError for half an authority of interception */
export function settingsOf(asked: AskedNetwork): NetworkSettings {
  const { firstRules, given: _given, ...rest } = asked;
  const base = firstRules.length === 0 ? asked.policy : (asked.policy ?? NetworkPolicy.publicOnly());
  return {
    ...rest,
    ...interceptionSettingsOf(asked),
    enabled: asked.enabled ?? true,
    policy: base === null ? null : withFirstRules(base, firstRules),
    observe: asked.observe ?? false,
  };
}

/** Fills in what was not said. */
export function filledNetwork(settings: NetworkSettings | null): StoredNetwork {
  const filled = settings ?? settingsOf(nothingAsked);
  const { policy, observe, dns, maxConnections, rateLimiter } = filled;
  return {
    ...filledInterception(filled),
    policy: policy ?? NetworkPolicy.publicOnly(),
    observe,
    dns: { ...defaultDns, ...said(dns) },
    interface: { ...defaultInterface, ...said(settings?.interface ?? null) },
    maxConnections: maxConnections ?? defaultMaxConnections,
    rateLimiter,
  };
}

/** The network of a sandbox that exists, as users read it. */
export function networkSettingsOf(config: NetworkParts): NetworkSettings {
  const network = networkOf(config);
  if (network === null) return noNetwork;
  const { proxy, deploymentProfile: _, ...rest } = network;
  return { ...rest, ...interceptionAsRead(network), enabled: true, outboundProxy: proxy };
}

/** Without an interface nothing is reached. */
export const noNetwork: NetworkSettings = {
  ...settingsOf(nothingAsked),
  enabled: false,
  policy: NetworkPolicy.none(),
};
