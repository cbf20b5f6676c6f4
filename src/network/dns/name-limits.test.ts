import assert from "node:assert/strict";
import { test } from "node:test";
import { answers, asking } from "../../../test/support/dns-resolver.ts";
import { DnsServer } from "../../../test/support/dns-server.ts";
import { DomainName } from "./message/name.ts";
import { NameLimits } from "./name-limits.ts";

function taken(limits: NameLimits, name: string, times: number, now: number): number {
  let count = 0;
  for (let time = 0; time < times; time++) if (limits.take(DomainName.of(name), now)) count++;
  return count;
}

test("questions are counted for each parent domain, and come back evenly", () => {
  const limits = new NameLimits({ maxNameLength: null, maxQueriesPerMinute: 60 });
  assert.equal(taken(limits, "a.evil.com", 40, 0), 40);
  assert.equal(taken(limits, "b.c.EVIL.com", 40, 0), 20);
  assert.equal(taken(limits, "evil.com", 1, 0), 0);
  assert.equal(taken(limits, "good.com", 100, 0), 60);
  assert.equal(taken(limits, "evil.com", 5, 1000), 1);
  assert.equal(taken(limits, "evil.com", 100, 31_000), 30);
  assert.equal(taken(limits, "evil.com", 100, 10_000_000), 60);
});

test("without a limit nothing is counted", () => {
  const limits = new NameLimits({ maxNameLength: null, maxQueriesPerMinute: null });
  assert.equal(taken(limits, "evil.com", 10_000, 0), 10_000);
});

test("asking for many other domains makes nobody forget", () => {
  const limits = new NameLimits({ maxNameLength: null, maxQueriesPerMinute: 5 });
  assert.equal(taken(limits, "evil.com", 10, 0), 5);
  let others = 0;
  for (let index = 0; index < 10_000; index++) others += taken(limits, `a.parent${index}.example`, 1, 1);
  // 1,023 that can be told apart beside the first, and one count for all of the rest.
  assert.equal(others, 1023 + 5);
  assert.equal(taken(limits, "evil.com", 10, 1), 0);
  // After a minute there is room again.
  assert.equal(taken(limits, "late.example", 10, 120_000), 5);
});

test("a name that is too long, and one question too many, are refused, told and do not leave", async () => {
  await using server = await DnsServer.start(answers);
  using guest = asking(server, { dns: { maxNameLength: 20, maxQueriesPerMinute: 3 } });
  const long = await guest.ask("secret-in-a-name.evil.com");
  assert.deepEqual([long.rcode, guest.lastEvent.outcome, server.asked.length], ["REFUSED", "limited", 0]);
  for (const name of ["a.evil.com", "b.evil.com", "c.evil.com"])
    assert.equal((await guest.ask(name)).rcode, "NOERROR");
  const fourth = await guest.ask("d.evil.com", "TXT");
  assert.deepEqual(
    [fourth.rcode, guest.lastEvent.outcome, guest.lastEvent.rcode],
    ["REFUSED", "limited", "REFUSED"],
  );
  assert.equal(server.asked.length, 3);
  // What is known already does not leave, and is no question of another domain.
  assert.equal((await guest.ask("A.evil.com")).rcode, "NOERROR");
  assert.equal((await guest.ask("a.good.com")).rcode, "NOERROR");
  assert.equal(server.asked.length, 4);
});
