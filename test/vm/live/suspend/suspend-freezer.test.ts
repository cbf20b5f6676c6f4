import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Sandbox } from "../../../../src/index.ts";
import { smallMemory, timeout } from "../../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";

export const needs: Needs = ["running"];

// A guest is held by the freezer of its control groups while it is suspended. Its own programs may use that too.
const home = useTemporaryHome();

const counter = (group: string): string =>
  `mkdir -p ${group}
   sh -c 'echo $$ > ${group}/cgroup.procs; n=0; while :; do n=$((n + 1)); echo $n > /tmp/$1; sleep 0.02; done' - $(basename ${group}) > /dev/null 2>&1 &
   until [ -s /tmp/$(basename ${group}) ]; do sleep 0.01; done`;

test("what the guest has frozen itself stays so, and all else goes on", { timeout }, async () => {
  let sandbox = await Sandbox.builder("own").image("localhost/base").memory(smallMemory).createDetached();
  const shell = async (script: string): Promise<string> => {
    const ran = await sandbox.shell(`set -e\ncd /sys/fs/cgroup\n${script}`);
    assert.equal(ran.code, 0, ran.stderr());
    return ran.stdout();
  };
  for (const group of ["held", "outer/within", "free"]) await shell(counter(group));
  for (const group of ["held", "outer/within"])
    await shell(
      `echo 1 > ${group}/cgroup.freeze; until grep -q 'frozen 1' ${group}/cgroup.events; do :; done`,
    );
  const counted = await shell("cat /tmp/held /tmp/within");
  for (let times = 0; times < 2; times++) {
    const before = Number(await shell("cat /tmp/free"));
    await sandbox.suspend();
    sandbox = await Sandbox.startDetached("own");
    assert.equal(sandbox.startReport?.route, "continued");
    await eventually("the free one to go on", async () =>
      Number(await shell("cat /tmp/free")) > before + 5 ? true : null,
    );
    const states = await shell("cat */cgroup.freeze outer/within/cgroup.freeze; cat /tmp/held /tmp/within");
    // free, held, msb-processes, outer, within
    assert.equal(states, `0\n1\n0\n0\n1\n${counted}`);
  }
  await shell("echo 0 > held/cgroup.freeze");
  await eventually("the held one to go on", async () =>
    (await shell("cat /tmp/held /tmp/within")) === counted ? null : true,
  );
  // What is as it should be leaves no word of QEMU's.
  await sandbox.stop();
  const log = await readFile(join(home, "sandboxes/own/logs/runtime.log"), "utf8");
  assert.doesNotMatch(log, /vmdesc/);
});

test("groups that come and go meanwhile are in nobody's way", { timeout }, async () => {
  let sandbox = await Sandbox.builder("fleet").image("localhost/base").memory(smallMemory).createDetached();
  // Each makes and removes groups from one of its own, so that no two of them are held at once.
  const { code } = await sandbox.shell(
    `cd /sys/fs/cgroup
     for own in 1 2 3 4; do
       mkdir worker-$own
       sh -c 'echo $$ > worker-$1/cgroup.procs; while :; do
         for n in 1 2 3 4 5 6 7 8; do mkdir a-$1-$n z-$1-$n; done; touch /tmp/worked-$1
         for n in 8 7 6 5 4 3 2 1; do rmdir a-$1-$n z-$1-$n; done; done' - $own > /dev/null 2>&1 &
     done
     for own in 1 2 3 4; do until [ -e /tmp/worked-$own ]; do sleep 0.01; done; done`,
  );
  assert.equal(code, 0);
  for (let times = 0; times < 6; times++) {
    await sandbox.suspend();
    sandbox = await Sandbox.startDetached("fleet");
    assert.equal(sandbox.startReport?.route, "continued");
    const on = await sandbox.shell(
      "rm -f /tmp/worked-*; for own in 1 2 3 4; do until [ -e /tmp/worked-$own ]; do sleep 0.01; done; done; echo on",
    );
    assert.equal(on.stdout(), "on\n");
  }
  await sandbox.kill();
});
