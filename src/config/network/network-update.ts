import * as v from "valibot";
import { InvalidConfigError } from "../../errors/index.ts";
import type { NetworkConfig, PublishedPort } from "./network-type.ts";
import type { NetworkPolicy, Rule } from "./policy-type.ts";
import { policySchema, ruleSchema } from "./policy/stored-policy.ts";

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

const portNumber = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const bucket = v.nullable(v.object({ size: count, refillTimeMs: count, oneTimeBurst: count }));
const limiter = v.nullable(v.object({ bandwidth: bucket, ops: bucket }));
const protocol = v.picklist(["tcp", "udp"]);

const updateSchema = v.strictObject({
  policy: v.exactOptional(policySchema),
  addRules: v.exactOptional(v.array(ruleSchema)),
  observe: v.exactOptional(v.boolean()),
  publish: v.exactOptional(
    v.array(
      v.object({
        hostBind: v.string(),
        hostPort: portNumber,
        guestPort: portNumber,
        protocol,
        proxyProtocol: v.boolean(),
      }),
    ),
  ),
  unpublish: v.exactOptional(
    v.array(v.object({ hostBind: v.exactOptional(v.string()), hostPort: portNumber, protocol })),
  ),
  maxConnections: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  rateLimiter: v.exactOptional(v.nullable(v.object({ egress: limiter, ingress: limiter }))),
});

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
  const parsed = v.safeParse(updateSchema, given);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new InvalidConfigError(`${v.getDotPath(issue) ?? "the change of the network"}: ${issue.message}`);
  }
  if (parsed.output.policy !== undefined && parsed.output.addRules !== undefined) {
    throw new InvalidConfigError("policy and addRules exclude each other", {
      hint: "Put the rules into the policy.",
    });
  }
  return parsed.output;
}
