import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectNetwork, networkFinding, pingFinding } from "./diagnose-network.ts";

test("a host without a way out is warned about, one with a single family is told", () => {
  assert.deepEqual(
    [[], [4], [6], [4, 6]].map((families) => networkFinding(families as (4 | 6)[]).status),
    ["warning", "info", "info", "ok"],
  );
  assert.match(networkFinding([4]).detail, /no way out by IPv6/);
});

test("a host that forbids to ping says how to allow it", () => {
  assert.equal(pingFinding([true, true]).status, "ok");
  assert.match(pingFinding([false, false]).fix, /ping_group_range/);
  assert.equal(pingFinding(null).fix, "");
});

test("this host is looked at", async () => {
  const findings = await inspectNetwork(null);
  assert.deepEqual(
    findings.map(({ name }) => name),
    ["network", "ping"],
  );
});
