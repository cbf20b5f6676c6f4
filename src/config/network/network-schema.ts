import * as v from "valibot";
import { interceptionEntries } from "./interception/interception-schema.ts";
import type { StoredNetwork } from "./network-of.ts";
import type { OutboundProxy, PublishedPort } from "./network-type.ts";
import { policySchema } from "./policy/stored-policy.ts";

/** The stored forms of what is about a network. */

const nullable = <S extends v.GenericSchema>(schema: S): v.NullableSchema<S, undefined> => v.nullable(schema);

const bucket = v.object({ size: v.number(), refillTimeMs: v.number(), oneTimeBurst: v.number() });
const limiter = v.object({ bandwidth: nullable(bucket), ops: nullable(bucket) });

/** null: no network. */
export const networkSchema: v.GenericSchema<unknown, StoredNetwork | null> = nullable(
  v.object({
    policy: policySchema,
    observe: v.boolean(),
    dns: v.object({
      nameservers: v.array(v.string()),
      rebindProtection: v.boolean(),
      queryTimeoutMs: v.number(),
      maxQueriesPerMinute: nullable(v.number()),
      maxNameLength: nullable(v.number()),
    }),
    interface: v.object({
      mac: nullable(v.string()),
      mtu: v.number(),
      ipv4Address: nullable(v.string()),
      ipv6Address: nullable(v.string()),
      ipv4Pool: v.string(),
      ipv6Pool: v.string(),
    }),
    maxConnections: v.number(),
    rateLimiter: nullable(v.object({ egress: nullable(limiter), ingress: nullable(limiter) })),
    ...interceptionEntries,
  }),
);

export const portsSchema: v.GenericSchema<readonly PublishedPort[]> = v.array(
  v.object({
    hostBind: v.string(),
    hostPort: v.number(),
    guestPort: v.number(),
    protocol: v.picklist(["tcp", "udp"]),
    proxyProtocol: v.boolean(),
  }),
);

export const proxySchema: v.GenericSchema<OutboundProxy> = v.variant("kind", [
  v.object({ kind: v.literal("socks4"), address: v.string(), userId: nullable(v.string()) }),
  v.object({
    kind: v.picklist(["socks5", "http"]),
    address: v.string(),
    username: nullable(v.string()),
    passwordEnv: nullable(v.string()),
  }),
]);
