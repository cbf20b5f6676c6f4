import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { NetworkPolicy, Rule } from "../../config/network/policy-type.ts";
import type { DnsAnswered } from "../../network/events.ts";
import { mostLineBytes, parseNetworkLine } from "../../store/network-log-format.ts";
import { NetworkLog } from "./network-log.ts";

/** As long as the line of a guest's question can be: some 4 KiB. */
const longest: DnsAnswered = {
  ...{ kind: "dns", timestampMs: 1_000, type: "AAAA", transport: "tcp", resolver: null },
  ...{ outcome: "answered", rcode: "NOERROR", rule: 0 },
  name: "\\000".repeat(250),
  addresses: Array.from({ length: 64 }, () => "2606:4700:aaaa:bbbb:cccc:dddd:eeee:ffff"),
};

function policyOf(rules: number): NetworkPolicy {
  const rule: Rule = {
    ...{ direction: "egress", destination: { kind: "domain", domain: "registry.example.com" } },
    ...{ protocols: ["tcp"], ports: [{ start: 443, end: 443 }], action: "allow" },
  };
  return {
    defaultEgress: "deny",
    defaultIngress: "deny",
    rules: Array.from({ length: rules }, () => rule),
  };
}

async function logPath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "msb-network-log-"));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, "network.log");
}

test("a change of the policy is in the log, however much waits for the disk", async (t) => {
  const path = await logPath(t);
  const log = await NetworkLog.open(path);
  for (let n = 0; n < 1500; n++) log.event(longest);
  log.policy("update", policyOf(1), false);
  await log.close();
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  const kinds = lines.slice(-3).map((line) => (JSON.parse(line) as { kind: string }).kind);
  assert.deepEqual(kinds, ["dns", "lost", "policy"]);
});

test("no more than 1 MiB waits for a watcher, and what was dropped is counted", async (t) => {
  const log = await NetworkLog.open(await logPath(t));
  let news = 0;
  const watch = log.watchLines(() => news++);
  for (let n = 0; n < 900; n++) log.event(longest);
  const taken = watch.take() ?? assert.fail();
  const bytes = taken.lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
  assert.ok(bytes > 256 * 1024 && bytes <= 1024 * 1024, String(bytes));
  assert.equal(taken.lost + taken.lines.length, 900);
  assert.equal(news, 1);
  // Once they are taken there is room again, and a single line always has it.
  log.event(longest);
  log.policy("update", policyOf(10_000), false);
  const next = watch.take() ?? assert.fail();
  assert.deepEqual([next.lost, next.lines.length, news], [1, 1, 2]);
  await log.close();
});

test("the numbers go on behind a last line of any length", async (t) => {
  const path = await logPath(t);
  const log = await NetworkLog.open(path);
  log.event(longest);
  log.policy("update", policyOf(3000), false);
  await log.close();
  const again = await NetworkLog.open(path);
  assert.equal(again.next, 3);
  await again.close();
});

test("no line is longer than 1 MiB: of a larger policy it has the first rules, and says how many follow", async (t) => {
  const path = await logPath(t);
  const log = await NetworkLog.open(path);
  const watch = log.watchLines(() => undefined);
  const policy = policyOf(50_000);
  log.policy("start", policy, false);
  log.event(longest);
  const sent = watch.take() ?? assert.fail();
  await log.close();
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  for (const line of [...lines, ...sent.lines, log.header()]) {
    assert.ok(Buffer.byteLength(line) <= mostLineBytes, `${line.length} bytes`);
    const { event } = parseNetworkLine(line) ?? assert.fail(line.slice(0, 100));
    if (event.kind !== "policy") continue;
    const { rules } = event.policy;
    assert.ok(rules.length > 5000);
    assert.deepEqual(event.policy, { ...policy, rules: policy.rules.slice(0, rules.length) });
    assert.equal(rules.length + (event.rulesLeftOut ?? 0), 50_000);
  }
});
