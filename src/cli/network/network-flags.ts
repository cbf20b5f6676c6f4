import { refuseSettings } from "../../config/keys/refuse-settings.ts";
import type { NetworkBuilder } from "../../config/network/builders/network-builder.ts";
import type { RateLimiterBuilder } from "../../config/network/builders/rate-limiter-builder.ts";
import type { DnsBuilder } from "../../config/network/builders/dns-builder.ts";
import { checkPool } from "../../config/network/builders/link-values.ts";
import { checkMaxConnections } from "../../config/network/builders/max-connections.ts";
import { parseNameserver } from "../../config/network/nameserver.ts";
import {
  largestMtu,
  longestName,
  mostQueriesPerMinute,
  smallestMtu,
} from "../../config/network/network-defaults.ts";
import { domainDestination, suffixDestination } from "../../config/network/policy/destination-builder.ts";
import { parseRuleTokens } from "../../config/network/policy/rule-token.ts";
import { longestTimerMs } from "../../config/settings/types.ts";
import { flag, longName, repeated, value, type Invocation } from "../grammar/command.ts";
import { UsageError } from "../output/usage-error.ts";
import { filled, oneOf, wholeNumber } from "../values/simple.ts";
import { interceptionFlags, sayInterception } from "./interception-flags.ts";
import { laterNetworkFlags } from "./later-network-flags.ts";
import { policyOfFlags } from "./net-policy.ts";
import { parseProfiles } from "./net-profiles.ts";
import { usable } from "./port.ts";
import { parseBytes, parseCount, rateOf, type Rate } from "./rate.ts";

const group = "Network:";
const action = oneOf(["allow", "deny"]);
const bandwidth = rateOf(parseBytes);
const ops = rateOf(parseCount);

/** Options about the network, besides those of the settings `ports`, `proxy` and `deploymentProfile`. */
export const networkFlags = {
  net: value({
    group,
    placeholder: "PROFILES",
    description: "What may be reached: a list of public, private and host, or all or none (public)",
    negation: "Nothing may be reached, and nobody may come",
    exclusive: true,
    parse: parseProfiles,
  }),
  netRule: repeated({
    group,
    placeholder: "RULES",
    description:
      "Rules before all others: ACTION[:DIRECTION]@TARGET[:PROTOCOL[:PORTS]], such as allow@example.com:tcp:443. Repeatable",
    parse: (text) => usable(() => parseRuleTokens(filled("a rule")(text))),
  }),
  netDefault: value({
    group,
    placeholder: "ACTION",
    description: "allow or deny what no rule is about, in both directions; no other rules than those given",
    parse: action,
  }),
  netDefaultEgress: value({
    group,
    placeholder: "ACTION",
    description: "The same for what goes out (deny)",
    parse: action,
  }),
  netDefaultIngress: value({
    group,
    placeholder: "ACTION",
    description: "The same for what comes in (allow)",
    parse: action,
  }),
  denyDomain: repeated({
    group,
    placeholder: "NAME",
    description: "Deny a name. Repeatable",
    parse: (name) => checked(name, domainDestination),
  }),
  denyDomainSuffix: repeated({
    group,
    placeholder: "NAME",
    description: "Deny a name and all below it. Repeatable",
    parse: (name) => checked(name, suffixDestination),
  }),
  netObserve: flag({
    group,
    description: "Allow everything and note it, for msb net suggest: the policy decides about nothing",
  }),
  dnsRebindProtection: flag({
    group,
    description:
      "Keep private addresses out of answers, unless the policy allows them by address (the default)",
    negation: "Let private addresses stand in answers",
  }),
  dnsNameserver: repeated({
    group,
    placeholder: "ADDRESS",
    description:
      "Who is asked for names: IP[:PORT], [IPV6]:PORT or HOST[:PORT]; the host's own without. Repeatable",
    parse: (text) => checked(text, parseNameserver),
  }),
  dnsQueryTimeoutMs: value({
    group,
    placeholder: "MS",
    description: "How long one nameserver is waited for (5000)",
    parse: wholeNumber(1, longestTimerMs),
  }),
  dnsMaxQueriesPerMinute: value({
    group,
    placeholder: "COUNT",
    description: "Names below one parent that may be asked in a minute (no limit)",
    parse: wholeNumber(1, mostQueriesPerMinute),
  }),
  dnsMaxNameLength: value({
    group,
    placeholder: "BYTES",
    description: `Longest name that is asked (${String(longestName)})`,
    parse: wholeNumber(1, longestName),
  }),
  netIpv4Pool: value({
    group,
    placeholder: "CIDR",
    description: "The guest's and the gateway's IPv4 address are in the first /30 of it (172.16.0.0/12)",
    parse: (text) => checked(text, (cidr) => checkPool(cidr, 4)),
  }),
  netIpv6Pool: value({
    group,
    placeholder: "CIDR",
    description: "The guest's and the gateway's IPv6 address are in the first /64 of it (fd42:6d73:62::/48)",
    parse: (text) => checked(text, (cidr) => checkPool(cidr, 6)),
  }),
  netMtu: value({
    group,
    placeholder: "BYTES",
    description: `Largest packet of the guest (${String(largestMtu)})`,
    parse: wholeNumber(smallestMtu, largestMtu),
  }),
  maxConnections: value({
    group,
    placeholder: "COUNT",
    description: "TCP connections that the guest may have outside at a time (256)",
    parse: (count) => usable(() => checkMaxConnections(wholeNumber(0, Number.MAX_SAFE_INTEGER)(count))),
  }),
  netEgressBandwidth: value({
    group,
    placeholder: "BYTES[/TIME]",
    description: "Limit what the guest sends: 1M is a MiB a second, 64K/100ms",
    parse: bandwidth,
  }),
  netEgressBandwidthBurst: value({
    group,
    placeholder: "BYTES",
    description: "Once, besides",
    parse: parseBytes,
  }),
  netEgressOps: value({
    group,
    placeholder: "COUNT[/TIME]",
    description: "Limit the frames that the guest sends",
    parse: ops,
  }),
  netEgressOpsBurst: value({ group, placeholder: "COUNT", description: "Once, besides", parse: parseCount }),
  netIngressBandwidth: value({
    group,
    placeholder: "BYTES[/TIME]",
    description: "Limit what the guest gets",
    parse: bandwidth,
  }),
  netIngressBandwidthBurst: value({
    group,
    placeholder: "BYTES",
    description: "Once, besides",
    parse: parseBytes,
  }),
  netIngressOps: value({
    group,
    placeholder: "COUNT[/TIME]",
    description: "Limit the frames that the guest gets",
    parse: ops,
  }),
  netIngressOpsBurst: value({ group, placeholder: "COUNT", description: "Once, besides", parse: parseCount }),
  ...interceptionFlags,
  ...laterNetworkFlags,
} as const;

/** The name, once it was found to be one. */
function checked(name: string, check: (name: string) => unknown): string {
  usable(() => check(name));
  return name;
}

export type NetworkFlagValues = Invocation<typeof networkFlags>["options"];

type FlagName = keyof typeof networkFlags;

function isGiven(flags: NetworkFlagValues, names: readonly FlagName[]): boolean {
  return names.some((name) => {
    const option: unknown = flags[name];
    return Array.isArray(option) ? option.length > 0 : option !== undefined;
  });
}

/** Whether anything is said with them. */
export function hasNetworkFlags(flags: NetworkFlagValues): boolean {
  return isGiven(flags, Object.keys(networkFlags) as FlagName[]);
}

/**
 * Says to a builder what the options say.
 *
 * @throws UsageError for options that contradict each other; UnsupportedOperationError for those of other versions
 */
export function sayNetwork(builder: NetworkBuilder, flags: NetworkFlagValues): NetworkBuilder {
  refuseLater(flags);
  const policy = policyOfFlags(flags);
  if (policy !== null) builder.policy(policy);
  if (flags.netObserve === true) builder.observe();
  if (isGiven(flags, dnsFlags)) builder.dns((dns) => sayDns(dns, flags));
  const { netIpv4Pool, netIpv6Pool, netMtu, maxConnections } = flags;
  usable(() => {
    if (netIpv4Pool !== undefined) builder.ipv4Pool(netIpv4Pool);
    if (netIpv6Pool !== undefined) builder.ipv6Pool(netIpv6Pool);
  });
  if (netMtu !== undefined) builder.interface((link) => link.mtu(netMtu));
  if (maxConnections !== undefined) builder.maxConnections(maxConnections);
  sayRates(builder, flags);
  sayInterception(builder, flags);
  return builder;
}

const dnsFlags = [
  ...["dnsRebindProtection", "dnsNameserver", "dnsQueryTimeoutMs", "dnsMaxQueriesPerMinute"],
  "dnsMaxNameLength",
] as FlagName[];

function sayDns(dns: DnsBuilder, flags: NetworkFlagValues): DnsBuilder {
  const { dnsRebindProtection, dnsNameserver, dnsQueryTimeoutMs } = flags;
  const { dnsMaxQueriesPerMinute, dnsMaxNameLength } = flags;
  if (dnsRebindProtection !== undefined) dns.rebindProtection(dnsRebindProtection);
  usable(() => dns.nameservers(dnsNameserver));
  if (dnsQueryTimeoutMs !== undefined) dns.queryTimeoutMs(dnsQueryTimeoutMs);
  if (dnsMaxQueriesPerMinute !== undefined) dns.maxQueriesPerMinute(dnsMaxQueriesPerMinute);
  if (dnsMaxNameLength !== undefined) dns.maxNameLength(dnsMaxNameLength);
  return dns;
}

interface Rates {
  readonly bandwidth: Rate | undefined;
  readonly bandwidthBurst: number | undefined;
  readonly ops: Rate | undefined;
  readonly opsBurst: number | undefined;
}

function sayRates(builder: NetworkBuilder, flags: NetworkFlagValues): void {
  const egress: Rates = {
    bandwidth: flags.netEgressBandwidth,
    bandwidthBurst: flags.netEgressBandwidthBurst,
    ops: flags.netEgressOps,
    opsBurst: flags.netEgressOpsBurst,
  };
  const ingress: Rates = {
    bandwidth: flags.netIngressBandwidth,
    bandwidthBurst: flags.netIngressBandwidthBurst,
    ops: flags.netIngressOps,
    opsBurst: flags.netIngressOpsBurst,
  };
  const isSaid = (rates: Rates): boolean => Object.values(rates).some((rate) => rate !== undefined);
  if (!isSaid(egress) && !isSaid(ingress)) return;
  refuseLoneBursts("egress", egress);
  refuseLoneBursts("ingress", ingress);
  usable(() =>
    builder.rateLimiter((limits) => {
      if (isSaid(egress)) limits.egress((limit) => sayRate(limit, egress));
      if (isSaid(ingress)) limits.ingress((limit) => sayRate(limit, ingress));
      return limits;
    }),
  );
}

/** In the words of the command line: the builder's name its functions. */
function refuseLoneBursts(direction: string, rates: Rates): void {
  for (const name of ["bandwidth", "ops"] as const)
    if (rates[`${name}Burst`] !== undefined && rates[name] === undefined)
      throw new UsageError(
        `${direction} rate limiter: ${name}_burst requires the ${name} bucket.`,
        `Give --net-${direction}-${name} too`,
      );
}

function sayRate(limit: RateLimiterBuilder, rates: Rates): RateLimiterBuilder {
  if (rates.bandwidth !== undefined) limit.bandwidth(rates.bandwidth.amount, rates.bandwidth.refillMs);
  if (rates.bandwidthBurst !== undefined) limit.bandwidthBurst(rates.bandwidthBurst);
  if (rates.ops !== undefined) limit.ops(rates.ops.amount, rates.ops.refillMs);
  if (rates.opsBurst !== undefined) limit.opsBurst(rates.opsBurst);
  return limit;
}

function refuseLater(flags: NetworkFlagValues): void {
  const later = Object.keys(laterNetworkFlags) as (keyof typeof laterNetworkFlags)[];
  refuseSettings(later.filter((name) => isGiven(flags, [name])).map((name) => `--${longName(name)}`));
}
