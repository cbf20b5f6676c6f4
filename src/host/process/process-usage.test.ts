import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parsePsTimeNs,
  parseStatCpuTimeNs,
  processCpuTimeNs,
  processResidentBytes,
} from "./process-usage.ts";

test("reads the times of a process whose name looks like fields", () => {
  const stat =
    "42 (a b) 9 (c) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 7 7 20 0 1 0 1000 1 1 18446744073709551615";
  assert.equal(parseStatCpuTimeNs(stat), 2_000_000_000);
  assert.equal(parseStatCpuTimeNs("nonsense"), null);
});

test("reads the times that ps prints", () => {
  assert.equal(parsePsTimeNs("0:01.50"), 1.5e9);
  assert.equal(parsePsTimeNs("01:02:03"), 3723e9);
  assert.equal(parsePsTimeNs("2-00:00:01"), 172_801e9);
  assert.equal(parsePsTimeNs("soon"), null);
});

test("measures this process", async () => {
  const before = await processCpuTimeNs(process.pid);
  const until = process.cpuUsage().user + 100_000;
  while (process.cpuUsage().user < until);
  const after = await processCpuTimeNs(process.pid);
  assert.ok(before !== null && after !== null);
  assert.ok(after - before >= 50e6 && after - before < 5e9, `${after - before} ns`);

  const resident = await processResidentBytes(process.pid);
  const expected = process.memoryUsage.rss();
  assert.ok(
    resident !== null && resident > expected / 2 && resident < expected * 2,
    `${resident} against ${expected}`,
  );
});

test("says nothing about a process that does not exist", async () => {
  assert.equal(await processCpuTimeNs(2 ** 30), null);
  assert.equal(await processResidentBytes(2 ** 30), null);
});
