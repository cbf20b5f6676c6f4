import assert from "node:assert/strict";
import { test } from "node:test";
import { draftFromConfig, type SandboxConfigInput } from "../sandbox/config-object.ts";
import { effectiveConfig } from "../sandbox/effective-config.ts";
import { networkNotices } from "./network-notices.ts";

const notices = (fields: Partial<SandboxConfigInput>): string[] =>
  networkNotices(
    effectiveConfig(
      draftFromConfig({ name: "notices", image: "localhost/base", ...fields }).finish(),
      {},
      null,
    ),
  );

test("what is as usual is worth no word", () => {
  assert.deepEqual(notices({}), []);
  assert.deepEqual(notices({ disableNetwork: true }), []);
  assert.deepEqual(notices({ ports: [{ hostBind: "::1", hostPort: 1, guestPort: 1 }, [8080, 80]] }), []);
});

test("rules that are never reached are told, with the rule that covers them", () => {
  const rules = [
    { action: "allow", destination: "*" },
    { action: "deny", destination: "public", protocol: "tcp", port: "25" },
  ] as const;
  assert.deepEqual(notices({ network: { rules } }), [
    "network rule 2 (deny@public:tcp:25) is never reached: rule 1 (allow@any) covers it",
  ]);
  const many = [rules[0], ...new Array<(typeof rules)[1]>(8).fill(rules[1])];
  assert.equal(notices({ network: { rules: many } }).length, 6);
});

test("ports that other computers reach are told", () => {
  const ports = [{ hostBind: "0.0.0.0", hostPort: 8080, guestPort: 80 }];
  assert.deepEqual(notices({ ports }), [
    "port 80/tcp of the guest is offered at 0.0.0.0: other computers reach it",
  ]);
});
