import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeError, Sandbox } from "../../../src/index.ts";
import { smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

// Forks of guests that have changed what the agent writes in their copies.
useTemporaryHome();

const fork = { name: "child", source: "parent" };

test("a copy gets its names whatever the guest has in their places", { timeout }, async () => {
  await using parent = await Sandbox.builder("parent").image("localhost/base").memory(smallMemory).create();
  const id = (await parent.shell("cat /etc/machine-id")).stdout();
  const cases: [before: string, after: string][] = [
    // As of D-Bus, which may have the one in the place of the other.
    ["mv /etc/machine-id /var/id; ln -s /var/id /etc/machine-id", "mv /var/id /etc/machine-id"],
    ["rm /etc/hostname; mkdir -p /etc/hostname/below", "rm -r /etc/hostname; echo parent > /etc/hostname"],
    ["mkdir -p /.msb/fork.json/below", "rm -r /.msb/fork.json"],
    // A program that opened it to write would wait for one that reads.
    ["rm /etc/hosts; mkfifo /etc/hosts /.msb/fork.json.new", "rm /etc/hosts /.msb/fork.json.new"],
  ];
  for (const [before, after] of cases) {
    assert.equal((await parent.shell(before)).code, 0, before);
    const child = await parent.fork("child");
    assert.equal(child.startReport?.reason, "goes on as a copy of parent");
    const files = "cat /etc/machine-id /etc/hostname /.msb/fork.json; grep 127.0.1.1 /etc/hosts";
    const [own, name, json, host] = (await child.shell(files)).stdout().split("\n");
    assert.match(own ?? "", /^[0-9a-f]{32}$/, before);
    assert.notEqual(`${own ?? ""}\n`, id, before);
    assert.deepEqual([name, JSON.parse(json ?? ""), host], ["child", fork, "127.0.1.1\tchild"], before);
    await child.destroy();
    assert.equal((await parent.shell(after)).code, 0, after);
  }
});

test(
  "a guest that has made its root read-only is forked with the files that it has",
  { timeout },
  async () => {
    await using parent = await Sandbox.builder("still").image("localhost/base").memory(smallMemory).create();
    await parent.shell("mount -o remount,ro /");
    const child = await parent.fork("child");
    const found = (await child.shell("hostname; cat /etc/hostname /.msb/fork.json")).stdout();
    assert.equal(found, 'child\nstill\n{"name":"child","source":"still"}\n');
    await child.destroy();
  },
);

test("a guest whose processes cannot be held is not forked, and told why", { timeout }, async () => {
  await using parent = await Sandbox.builder("loose").image("localhost/base").memory(smallMemory).create();
  await parent.shell("umount /sys/fs/cgroup");
  await assert.rejects(parent.fork("child"), (error) => {
    assert.ok(error instanceof RuntimeError);
    assert.match(error.message, /the processes of the guest cannot be held/);
    assert.match(error.hint, /cgroup/);
    return true;
  });
  assert.equal((await parent.shell("echo on")).stdout(), "on\n");
});
