import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../../errors/index.ts";
import { checkPolicySize, largestPolicyBytes } from "./check-policy.ts";
import { NetworkPolicy } from "./network-policy.ts";
import { parseRuleTokens } from "./rule-token.ts";
import { checkTenantRules, isRefusedToTenants } from "./tenant-rules.ts";

test("rules that allow a tenant only what is not public have no effect, and others do", () => {
  for (const [token, isRefused] of [
    ["allow@private", true],
    ["allow@host:tcp:80", true],
    ["allow@metadata", true],
    ["allow@10.1.0.0/16", true],
    ["allow@169.254.169.254", true],
    ["allow@[fd00::1]", true],
    ["allow@public", false],
    ["allow@any", false],
    ["allow@example.com", false],
    ["allow@8.8.8.8", false],
    // Half of it is public.
    ["allow@172.0.0.0/8", false],
    ["deny@private", false],
    ["allow:ingress@private", false],
  ] as const) {
    const rules = parseRuleTokens(token);
    assert.deepEqual(rules.map(isRefusedToTenants), [isRefused], token);
    if (!isRefused) checkTenantRules(rules);
    else assert.throws(() => checkTenantRules(rules), /would have no effect/, token);
  }
});

test("a policy is refused when it is too large to be told of", () => {
  const { rules } = { rules: parseRuleTokens("allow@example.com:tcp:443") };
  const bytes = Buffer.byteLength(JSON.stringify(rules)) - 1;
  const of = (count: number): NetworkPolicy => ({
    ...NetworkPolicy.none(),
    rules: Array.from({ length: count }, () => rules[0] ?? assert.fail()),
  });
  const fits = Math.floor(largestPolicyBytes / bytes) - 2;
  checkPolicySize(of(fits));
  assert.throws(
    () => checkPolicySize(of(fits + 4)),
    (error) => error instanceof InvalidConfigError && error.hint !== "",
  );
});
