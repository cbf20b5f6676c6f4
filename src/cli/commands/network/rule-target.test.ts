import assert from "node:assert/strict";
import { test } from "node:test";
import { ruleTokens } from "../../../config/network/policy/rule-text.ts";
import { UsageError } from "../../output/usage-error.ts";
import { ruleOfTarget } from "./rule-target.ts";

test("a target with a port alone is about TCP, and all else is as in a rule", () => {
  for (const [text, token] of [
    ["example.com:443", "allow@example.com:tcp:443"],
    ["example.com:80-443", "allow@example.com:tcp:80-443"],
    ["[2001:db8::1]:22", "allow@[2001:db8::1]:tcp:22"],
    ["10.0.0.0/8:53", "allow@10.0.0.0/8:tcp:53"],
    ["10.0.0.0/8:udp:53", "allow@10.0.0.0/8:udp:53"],
    ["*.example.com", "allow@suffix=example.com"],
    ["any", "allow@any"],
  ] as const) {
    assert.deepEqual(ruleTokens(ruleOfTarget("allow", "egress", text)), [token], text);
  }
  assert.deepEqual(ruleTokens(ruleOfTarget("deny", "ingress", "private:8000")), [
    "deny:ingress@private:tcp:8000",
  ]);
});

test("what is no target is a mistake on the command line", () => {
  for (const text of [
    "",
    "example",
    "example.com:99999",
    "example.com:443-80",
    "a@b",
    "2001:db8::1",
    "x.y:tpc:1",
  ])
    assert.throws(() => ruleOfTarget("allow", "egress", text), UsageError, text);
});
