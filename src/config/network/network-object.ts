import { InvalidConfigError } from "../../errors/index.ts";
import { checkFlag } from "../checks.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import type { DnsBuilder } from "./builders/dns-builder.ts";
import { NetworkBuilder } from "./builders/network-builder.ts";
import {
  joinNetworks,
  nothingAsked,
  type AskedNetwork,
  type DnsSettings,
  type InterfaceSettings,
} from "./network-settings.ts";
import {
  interceptionOfObject,
  type InterceptionObject,
} from "./interception/builders/interception-object.ts";
import type { SecretInput } from "./interception/builders/secret-object.ts";
import type { NetworkRateLimiterConfig } from "./network-type.ts";
import { policyOfObject, type PolicyInput } from "./policy/policy-object.ts";
import { checkPorts, type PortsInput } from "./ports.ts";
import { checkProxy, type ProxyInput } from "./proxy/proxy.ts";
import { checkRateLimiter } from "./builders/rate-limits.ts";

/** How names are asked, in a configuration object. */
export interface DnsInput extends Partial<Omit<DnsSettings, "nameservers">> {
  readonly nameservers?: Iterable<string> | null;
  /** Names that are denied, before all rules. */
  readonly blockDomains?: Iterable<string> | null;
  /** Names that are denied with all below them. */
  readonly blockDomainSuffixes?: Iterable<string> | null;
}

/** A sandbox's network, in a configuration object. What is left out is as usual. */
export interface NetworkObject extends PolicyInput, InterceptionObject {
  readonly enabled?: boolean | null;
  readonly ports?: PortsInput | null;
  readonly observe?: boolean | null;
  /** Names that are denied, before all rules. */
  readonly blockDomains?: Iterable<string> | null;
  readonly blockDomainSuffixes?: Iterable<string> | null;
  readonly dnsRebindProtection?: boolean | null;
  readonly dns?: DnsInput | null;
  readonly interface?: Partial<InterfaceSettings> | null;
  readonly maxConnections?: number | null;
  readonly rateLimiter?: Partial<NetworkRateLimiterConfig> | null;
  readonly outboundProxy?: ProxyInput | null;
}

const known = [
  ...["policy", "rules", "defaultAction", "defaultEgress", "defaultIngress", "enabled", "ports", "observe"],
  ...["blockDomains", "blockDomainSuffixes", "dnsRebindProtection", "dns", "interface", "maxConnections"],
  ...["rateLimiter", "outboundProxy", "tls", "interceptTls", "secrets", "secretViolation"],
  ...["onSecretViolation", "http", "trustHostCAs", "trustHostCas", "strict"],
];
const knownDns = [
  ...["nameservers", "rebindProtection", "queryTimeoutMs", "maxQueriesPerMinute", "maxNameLength"],
  ...["blockDomains", "blockDomainSuffixes"],
];
const knownInterface = ["mac", "mtu", "ipv4Address", "ipv6Address", "ipv4Pool", "ipv6Pool"];

/**
 * Says to a builder what an object says.
 *
 * @param path of the object, as the user would write it
 * @throws InvalidConfigError
 */
export function askedByObject(path: string, input: NetworkObject): AskedNetwork {
  refuseUnknownKeys(path, input, known);
  const builder = new NetworkBuilder();
  const policy = policyOfObject(path, input);
  if (policy !== null) builder.policy(policy);
  const { enabled, observe, blockDomains, blockDomainSuffixes, dnsRebindProtection, dns } = input;
  said(enabled, (value) => builder.enabled(checkFlag(`${path}.enabled`, value)));
  said(observe, (value) => builder.observe(checkFlag(`${path}.observe`, value)));
  said(blockDomains, (names) => builder.denyDomains(names));
  said(blockDomainSuffixes, (names) => builder.denyDomainSuffixes(names));
  said(dnsRebindProtection, (value) => builder.dns((d) => d.rebindProtection(value)));
  said(dns, (value) => {
    sayDns(`${path}.dns`, builder, value, isSaid(dnsRebindProtection));
  });
  said(input.interface, (value) => {
    sayInterface(`${path}.interface`, builder, value);
  });
  said(input.maxConnections, (count) => builder.maxConnections(count));
  const interception = interceptionOfObject(path, input);
  return joinNetworks(builder.asked(), {
    ...nothingAsked,
    ...interception,
    ports: isSaid(input.ports) ? checkPorts(`${path}.ports`, input.ports) : [],
    rateLimiter: isSaid(input.rateLimiter)
      ? checkRateLimiter(`${path}.rateLimiter`, input.rateLimiter)
      : null,
    outboundProxy: isSaid(input.outboundProxy)
      ? checkProxy(`${path}.outboundProxy`, input.outboundProxy)
      : null,
  });
}

/** What a list of secrets beside the network says of it. @throws InvalidConfigError, which tells no value */
export function askedBySecrets(path: string, input: Iterable<SecretInput> | null | undefined): AskedNetwork {
  return { ...nothingAsked, ...interceptionOfObject("", { secrets: input ?? null }, path) };
}

function sayDns(path: string, builder: NetworkBuilder, dns: DnsInput, isRebindSaid: boolean): void {
  refuseUnknownKeys(path, dns, knownDns);
  if (isRebindSaid && isSaid(dns.rebindProtection)) {
    throw new InvalidConfigError(`${path}.rebindProtection is said twice: dnsRebindProtection is the same`, {
      hint: "Leave one of them out.",
    });
  }
  said(dns.blockDomains, (names) => builder.denyDomains(names));
  said(dns.blockDomainSuffixes, (names) => builder.denyDomainSuffixes(names));
  builder.dns((d: DnsBuilder) => {
    said(dns.nameservers, (servers) => d.nameservers(servers));
    said(dns.rebindProtection, (value) => d.rebindProtection(value));
    said(dns.queryTimeoutMs, (ms) => d.queryTimeoutMs(ms));
    said(dns.maxQueriesPerMinute, (count) => d.maxQueriesPerMinute(count));
    said(dns.maxNameLength, (bytes) => d.maxNameLength(bytes));
    return d;
  });
}

function sayInterface(path: string, builder: NetworkBuilder, link: Partial<InterfaceSettings>): void {
  refuseUnknownKeys(path, link, knownInterface);
  builder.interface((overrides) => {
    said(link.mac, (mac) => overrides.mac(mac));
    said(link.mtu, (mtu) => overrides.mtu(mtu));
    said(link.ipv4Address, (address) => overrides.ipv4(address));
    said(link.ipv6Address, (address) => overrides.ipv6(address));
    return overrides;
  });
  said(link.ipv4Pool, (pool) => builder.ipv4Pool(pool));
  said(link.ipv6Pool, (pool) => builder.ipv6Pool(pool));
}

function said<T>(value: T | null | undefined, apply: (value: T) => unknown): void {
  if (isSaid(value)) apply(value);
}

function isSaid<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}
