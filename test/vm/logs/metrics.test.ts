import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  allSandboxMetrics,
  InvalidConfigError,
  MetricsDisabledError,
  Sandbox,
  SandboxNotRunningError,
  type SandboxMetrics,
} from "../../../src/index.ts";
import { processOf } from "../lifecycle-support.ts";
import { eventually, metricsOfGuest, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "alone"];

const home = useTemporaryHome();
const mebibyte = 1024 * 1024;
let sandbox: Sandbox;
const begun = Date.now();
before(async () => {
  sandbox = await Sandbox.builder("metrics").image("localhost/base").memory(384).create();
});
after(() => sandbox.stop());

async function run(script: string): Promise<void> {
  const { code, stderr } = await sandbox
    .shell(script)
    .then((output) => ({ code: output.code, stderr: output.stderr() }));
  assert.equal(code, 0, stderr);
}

describe("a sample", () => {
  let first: SandboxMetrics;

  test("is plausible", async () => {
    // A copy of a template may have all that it needs in memory.
    await run("echo 3 > /proc/sys/vm/drop_caches; ls -lR /etc /usr > /dev/null");
    const asked = Date.now();
    first = await metricsOfGuest(sandbox);
    assert.equal(first.memoryLimitBytes, 384 * mebibyte);
    assert.ok(
      first.memoryBytes > 10 * mebibyte && first.memoryBytes < 200 * mebibyte,
      `${first.memoryBytes}`,
    );
    assert.ok(first.memoryAvailableBytes !== null && first.memoryAvailableBytes > 100 * mebibyte);
    assert.ok(first.memoryBytes + first.memoryAvailableBytes <= first.memoryLimitBytes);
    assert.ok(first.memoryHostResidentBytes !== null && first.memoryHostResidentBytes > 30 * mebibyte);
    assert.ok(first.diskReadBytes > 10_000, `the root file system was read: ${first.diskReadBytes}`);
    assert.ok(first.upperUsedBytes !== null && first.upperUsedBytes < 100 * mebibyte);
    assert.ok(first.upperFreeBytes !== null && first.upperFreeBytes > 3000 * mebibyte);
    assert.ok(first.upperHostAllocatedBytes !== null && first.upperHostAllocatedBytes < 50 * mebibyte);
    assert.ok(first.vcpuTimeNs > 100_000_000, "booting takes processor time");
    assert.ok(first.cpuPercent >= 0 && first.cpuPercent < 1000, `${first.cpuPercent}`);
    assert.ok(first.uptimeMs > 0 && first.uptimeMs <= Date.now() - begun);
    assert.ok(first.timestamp.getTime() >= asked && first.timestamp.getTime() <= Date.now());
    assert.equal(first.timestampMs, first.timestamp.getTime());
    assert.ok(first.netRxBytes >= 0 && first.netTxBytes >= 0);
  });

  test("later has a longer uptime and no smaller totals", async () => {
    const next = await sandbox.metrics();
    const passed = next.timestampMs - first.timestampMs;
    assert.ok(Math.abs(next.uptimeMs - first.uptimeMs - passed) < 500);
    for (const total of [
      "vcpuTimeNs",
      "diskReadBytes",
      "diskWriteBytes",
      "netRxBytes",
      "netTxBytes",
    ] as const) {
      assert.ok(next[total] >= first[total], total);
    }
  });

  test("shows what is written, once it is on the disk", async () => {
    const before = await metricsOfGuest(sandbox);
    await run("head -c 33554432 /dev/urandom > /root/large && sync");
    const now = await metricsOfGuest(sandbox);
    assert.ok(now.diskWriteBytes - before.diskWriteBytes >= 32 * mebibyte, `${now.diskWriteBytes}`);
    const grown = (key: "upperUsedBytes" | "upperHostAllocatedBytes"): number =>
      (now[key] ?? 0) - (before[key] ?? 0);
    assert.ok(grown("upperUsedBytes") >= 32 * mebibyte && grown("upperUsedBytes") < 40 * mebibyte);
    assert.ok(
      grown("upperHostAllocatedBytes") >= 32 * mebibyte && grown("upperHostAllocatedBytes") < 48 * mebibyte,
    );
    assert.ok((before.upperFreeBytes ?? 0) - (now.upperFreeBytes ?? 0) >= 32 * mebibyte);
  });

  test("shows what is read", async () => {
    await run("echo 3 > /proc/sys/vm/drop_caches");
    const before = await sandbox.metrics();
    await run("cat /root/large > /dev/null");
    assert.ok((await sandbox.metrics()).diskReadBytes - before.diskReadBytes >= 32 * mebibyte);
  });

  test("shows the memory that is in use", async () => {
    const before = await sandbox.metrics();
    await run("head -c 67108864 /dev/zero > /dev/shm/memory");
    const with64 = await sandbox.metrics();
    const grown = with64.memoryBytes - before.memoryBytes;
    assert.ok(grown > 60 * mebibyte && grown < 90 * mebibyte, `grown by ${grown} bytes`);
    await run("rm /dev/shm/memory");
    const after = await sandbox.metrics();
    assert.ok(with64.memoryBytes - after.memoryBytes > 50 * mebibyte);
  });

  test("shows a busy processor, and an idle one", async () => {
    /** What a sample says of the last two seconds, and what follows from the totals. */
    const shares = async (): Promise<{ said: number; counted: number }> => {
      // A sample soon after another one goes on with that one's share.
      await sandbox.exec("sleep", ["2"]);
      const from = await sandbox.metrics();
      await sandbox.exec("sleep", ["2"]);
      const to = await sandbox.metrics();
      const passedNs = (to.timestampMs - from.timestampMs) * 1e6;
      return { said: to.cpuPercent, counted: (100 * (to.vcpuTimeNs - from.vcpuTimeNs)) / passedNs };
    };
    const idle = await shares();
    const loop = await sandbox.shellStream("while :; do :; done");
    const busy = await shares();
    await loop.kill();
    await loop.wait();
    // How much of a core a loop gets is the host's affair, which may have other work to do.
    for (const { said, counted } of [idle, busy]) {
      assert.ok(Math.abs(said - counted) < 2 + counted / 10, `said: ${said} %, counted: ${counted} %`);
    }
    assert.ok(busy.said < 250, `busy: ${busy.said} %`);
    assert.ok(idle.said < busy.said / 2, `idle: ${idle.said} %, busy: ${busy.said} %`);
  });

  test("can be had by many at once", async () => {
    const samples = await Promise.all(Array.from({ length: 20 }, () => sandbox.metrics()));
    assert.equal(samples.length, 20);
    assert.ok(samples.every(({ vcpuTimeNs }) => vcpuTimeNs > 0));
  });

  test("comes although no command can run: the guest's processor is taken", async () => {
    const handle = await sandbox.shellStream(
      "while :; do :; done & while :; do :; done & while :; do :; done & wait",
    );
    assert.ok((await sandbox.metrics()).vcpuTimeNs > 0);
    await handle.kill();
    await handle.wait();
  });
});

describe("the samples of all sandboxes", () => {
  test("are those that run and have metrics", async () => {
    const without = await Sandbox.builder("without")
      .image("localhost/base")
      .memory(256)
      .disableMetricsSample()
      .create();
    try {
      await assert.rejects(without.metrics(), (error: unknown) => {
        assert.ok(error instanceof MetricsDisabledError);
        assert.notEqual(error.hint, "");
        return true;
      });
      await assert.rejects((await Sandbox.get("without")).metrics(), MetricsDisabledError);
      await using stream = without.metricsStream(100);
      await assert.rejects(stream.recv(), MetricsDisabledError);
      const all = await allSandboxMetrics();
      assert.deepEqual(Object.keys(all), ["metrics"]);
      assert.equal(all["metrics"]?.memoryLimitBytes, 384 * mebibyte);
    } finally {
      await without.stop();
    }
  });
});

describe("a stream of samples", () => {
  test("begins at once and goes on with the interval", async () => {
    // An hour would be longer than this test may take.
    await using hourly = sandbox.metricsStream(3_600_000);
    assert.ok((await hourly.recv()) !== null);

    const begun = performance.now();
    await using stream = sandbox.metricsStream(300);
    for (let n = 0; n < 4; n++) assert.ok((await stream.recv()) !== null);
    // Three intervals at the least, and timers may be a little early.
    assert.ok(performance.now() - begun > 850);
    await stream[Symbol.asyncDispose]();
    assert.equal(await stream.recv(), null);
  });

  test("is over when the machine ends while one is taken, without an error", async () => {
    const victim = await Sandbox.builder("victim").image("localhost/base").memory(128).create();
    const streams = Array.from({ length: 8 }, () => victim.metricsStream(1));
    for (const stream of streams) assert.ok((await stream.recv()) !== null);
    const ends = streams.map(async (stream) => {
      while ((await stream.recv()) !== null);
    });
    process.kill(await processOf(home, "victim", "qemu"), "SIGKILL");
    await Promise.all(ends);
    assert.equal((await victim.waitUntilStopped()).status, "crashed");
    await victim.removePersisted();
  });

  test("of an interval that is none is refused", () => {
    assert.throws(() => sandbox.metricsStream(-1), InvalidConfigError);
    assert.throws(() => sandbox.metricsStream(NaN), InvalidConfigError);
  });

  test("ends when the sandbox stops, and when it is crashed, removed or replaced", async () => {
    const stream = sandbox.metricsStream(50);
    assert.ok((await stream.recv()) !== null);
    const end = (async () => {
      let count = 0;
      for await (const sample of stream) if (sample.uptimeMs > 0) count++;
      return count;
    })();
    await sandbox.stop();
    assert.ok((await end) >= 0);
    assert.equal(await stream.recv(), null);
    await assert.rejects(sandbox.metrics(), SandboxNotRunningError);
    assert.equal(await sandbox.metricsStream(1).recv(), null);
    assert.deepEqual(await allSandboxMetrics(), {});

    const old = sandbox;
    sandbox = await Sandbox.builder("metrics").image("localhost/base").memory(256).replace().create();
    assert.equal(await old.metricsStream(1).recv(), null);
    assert.equal((await sandbox.metrics()).memoryLimitBytes, 256 * mebibyte);

    const crashing = sandbox.metricsStream(50);
    assert.ok((await crashing.recv()) !== null);
    void sandbox.shell("echo c > /proc/sysrq-trigger").catch(() => undefined);
    await eventually("the stream's end", async () => ((await crashing.recv()) === null ? true : null));
    assert.equal((await sandbox.waitForStatus("crashed")).status, "crashed");
    await Sandbox.remove("metrics");
    assert.equal(await sandbox.metricsStream(1).recv(), null);
  });
});
