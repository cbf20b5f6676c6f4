import * as v from "valibot";
import type { SecretConfig } from "./secret-type.ts";
import { noInterception, type InterceptionConfig } from "./interception-settings.ts";

/** The stored forms of what is about reading what the guest sends. A field that is missing was not there yet: it is off. */

const patterns = v.array(v.string());

const tls = v.object({
  interceptedPorts: v.array(v.number()),
  bypass: patterns,
  verifyUpstream: v.boolean(),
  scopedVerifyUpstream: v.array(v.object({ pattern: v.string(), verify: v.boolean() })),
  upstreamCaCertPaths: v.array(v.string()),
  scopedUpstreamCaCerts: v.array(v.object({ pattern: v.string(), path: v.string() })),
  blockQuic: v.boolean(),
  interceptCa: v.nullable(v.object({ certPath: v.string(), keyPath: v.string() })),
});

const violation = v.variant("kind", [
  v.object({ kind: v.picklist(["block", "block-and-log", "block-and-terminate"]) }),
  v.object({ kind: v.literal("passthrough"), hosts: patterns }),
]);

/** An object of a later version may have a value in it by mistake: only what is named here is kept. */
const secret = v.object({
  envVar: v.string(),
  placeholder: v.string(),
  hosts: patterns,
  source: v.variant("kind", [
    v.object({ kind: v.picklist(["stored", "provider"]) }),
    v.object({ kind: v.literal("env"), var: v.string() }),
    v.object({ kind: v.literal("file"), path: v.string() }),
  ]),
  injection: v.object({
    headers: v.union([v.boolean(), v.array(v.string())]),
    basicAuth: v.boolean(),
    queryParams: v.boolean(),
    body: v.boolean(),
  }),
  requireTlsIdentity: v.boolean(),
  onViolation: v.nullable(violation),
  scrubResponses: v.boolean(),
});

const http = v.object({
  rules: v.array(
    v.object({
      action: v.picklist(["allow", "deny"]),
      methods: v.array(v.string()),
      host: v.string(),
      path: v.nullable(v.string()),
    }),
  ),
  denyResponse: v.boolean(),
  denyMessage: v.nullable(v.string()),
  hooks: v.object({ onRequest: v.boolean(), onResponse: v.boolean(), timeoutMs: v.number() }),
});

export const secretsSchema: v.GenericSchema<unknown, readonly SecretConfig[]> = v.array(secret);

export const interceptionEntries = {
  tls: v.optional(v.nullable(tls), noInterception.tls),
  secrets: v.optional(v.array(secret), () => []),
  secretViolation: v.optional(violation, noInterception.secretViolation),
  http: v.optional(v.nullable(http), noInterception.http),
  trustHostCAs: v.optional(v.boolean(), noInterception.trustHostCAs),
  strict: v.optional(v.boolean(), noInterception.strict),
} as const satisfies {
  readonly [Key in keyof InterceptionConfig]: v.GenericSchema<unknown, InterceptionConfig[Key]>;
};
