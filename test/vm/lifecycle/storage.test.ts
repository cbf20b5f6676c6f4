import assert from "node:assert/strict";
import { test } from "node:test";
import { Sandbox, Storage } from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// What running, forked and suspended sandboxes take on the disk, and waiting for their end.
const cli = new MsbHome({ path: useTemporaryHome() });
const mib = 1024 * 1024;

test(
  "forks share their memory, which is counted once; msb wait tells how they end",
  { timeout },
  async () => {
    const sandbox = await Sandbox.builder("source")
      .image("localhost/base")
      .memory(smallMemory)
      .createDetached();
    await sandbox.shell("dd if=/dev/urandom of=/root/file bs=1M count=6; sync");
    const before = await sandbox.storageUsage();
    assert.ok(before.parts.disk.ownBytes >= 6 * mib, JSON.stringify(before));
    assert.equal(before.sharedBytes, 0);

    const children = await sandbox.forkMany(["one", "two"]);
    for (const { error } of children) if (error !== undefined) throw error;
    const [one, two] = await Promise.all(["one", "two"].map((name) => Sandbox.get(name)));
    assert.ok(one !== undefined && two !== undefined);
    const usages = await Promise.all([one.storageUsage(), two.storageUsage()]);
    const shared = usages.map(({ parts }) => parts.memory.sharedBytes);
    assert.ok(shared[0] !== undefined && shared[0] > mib, JSON.stringify(usages));
    assert.equal(shared[1], shared[0]);
    assert.ok(usages.every(({ parts }) => parts.disk.ownBytes >= 6 * mib));
    const { kinds } = await Storage.usage();
    assert.deepEqual([kinds.sandboxes.count, kinds.sandboxes.active], [3, 3]);
    assert.ok(kinds.forkMemory.bytes >= shared[0] && kinds.forkMemory.bytes < 2 * shared[0]);
    // Its own, once it is suspended.
    await two.suspend();
    const { memory } = (await two.storageUsage()).parts;
    assert.ok(memory.ownBytes > mib && memory.sharedBytes === 0, JSON.stringify(memory));

    const late = await cli.msb("wait", "--timeout", "200ms", "one");
    assert.equal(late.code, 1);
    assert.match(late.stderr, /took longer than 200 ms/);
    const waiting = cli.start(["wait", "one", "source", "two"]);
    await one.stop();
    await waiting.stdoutHas("0\n");
    await sandbox.kill();
    const { code, stdout, stderr } = await waiting.result;
    assert.equal(code, 0, stderr);
    const [first, killed, suspended] = stdout.trim().split("\n");
    assert.deepEqual([first, suspended], ["0", "0"]);
    assert.equal(killed, "137");
  },
);
