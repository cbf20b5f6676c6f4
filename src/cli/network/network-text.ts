import type { SandboxConfig } from "../../api/index.ts";
import {
  defaultDns,
  defaultInterface,
  defaultMaxConnections,
} from "../../config/network/network-defaults.ts";
import type { OutboundProxy, PublishedPort, RateLimiterConfig } from "../../config/network/network-type.ts";
import { describeInterception } from "./interception-text.ts";
import { policyTokens } from "../../config/network/policy/rule-text.ts";

/** `127.0.0.1:8080->80/tcp`, as docker writes it. */
export function describePort({
  hostBind,
  hostPort,
  guestPort,
  protocol,
  proxyProtocol,
}: PublishedPort): string {
  const host = hostBind.includes(":") ? `[${hostBind}]` : hostBind;
  const port = hostPort === 0 ? "a free port" : String(hostPort);
  return `${host}:${port}->${String(guestPort)}/${protocol}${proxyProtocol ? " (PROXY protocol)" : ""}`;
}

/** `socks5://user@host:1080`. */
export function describeProxy(proxy: OutboundProxy | null): string {
  if (proxy === null) return "-";
  const user = proxy.kind === "socks4" ? proxy.userId : proxy.username;
  return `${proxy.kind}://${user === null ? "" : `${user}@`}${proxy.address}`;
}

/** What is done without a rule, the rules as `--net-rule` takes them, then what is not as usual. */
export function describeNetwork({ network }: Pick<SandboxConfig, "network">): string | readonly string[] {
  if (network?.enabled !== true) return "-";
  const { policy, observe, dns, interface: link, maxConnections, rateLimiter } = network;
  return [
    ...(policy === null
      ? []
      : [`egress ${policy.defaultEgress}, ingress ${policy.defaultIngress}`, ...policyTokens(policy)]),
    ...(observe ? ["observed: everything is allowed"] : []),
    ...unusual({ ...dns }, { ...defaultDns }),
    ...unusual({ ...link }, { ...defaultInterface }),
    ...unusual({ maxConnections }, { maxConnections: defaultMaxConnections }),
    ...(["egress", "ingress"] as const).flatMap((direction) =>
      describeRates(direction, rateLimiter?.[direction] ?? null),
    ),
    ...describeInterception(network),
  ];
}

type Fields = Readonly<Record<string, string | number | boolean | readonly string[] | null>>;

function unusual(values: Fields, usual: Fields): string[] {
  return Object.entries(values)
    .filter(([key, value]) => value !== null && String(value) !== String(usual[key]))
    .map(([key, value]) => `${key} ${typeof value === "object" ? (value ?? []).join(", ") : String(value)}`);
}

function describeRates(direction: string, limits: RateLimiterConfig | null): string[] {
  return (["bandwidth", "ops"] as const).flatMap((name) => {
    const bucket = limits?.[name] ?? null;
    if (bucket === null) return [];
    const unit = name === "bandwidth" ? "bytes" : "frames";
    const burst = bucket.oneTimeBurst === 0 ? "" : `, ${String(bucket.oneTimeBurst)} once`;
    return [`${direction} ${String(bucket.size)} ${unit} in ${String(bucket.refillTimeMs)} ms${burst}`];
  });
}
