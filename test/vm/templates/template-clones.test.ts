import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Sandbox } from "../../../src/index.ts";
import { askProcess, buildProbe, installProbe, readClock } from "../machine/guest-probe.ts";
import { processesGone, timeout } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, fewAtATime, hashesOf, kindsOf, runtimeLog, small, templateOf } from "./template-support.ts";

export const needs: Needs = ["template", "rust"];

// Sandboxes that are copies of one template have nothing in common that they should not.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
let probe: Buffer;

before(async () => {
  probe = await buildProbe();
  await destroy(await small("first"));
  assert.deepEqual(await kindsOf(home), ["image", "machine"]);
});

/** What no two sandboxes may share, as the first commands in them find it. */
async function identity(sandbox: Sandbox): Promise<Record<string, string>> {
  const script = `
    head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo
    head -c 16 /dev/random | od -An -tx1 | tr -d ' \\n'; echo
    cat /etc/machine-id /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid
    cat /etc/hostname; hostname; grep -o '127.0.1.1.*' /etc/hosts | cut -f 2`;
  const lines = (await output(sandbox, script)).split("\n");
  assert.equal(lines.length, 8, lines.join("\n"));
  const [urandom = "", random = "", machineId = "", bootId = "", uuid = "", ...names] = lines;
  assert.deepEqual(names, [sandbox.name, sandbox.name, sandbox.name]);
  assert.match(machineId, /^[0-9a-f]{32}$/);
  await installProbe(sandbox, probe);
  const [one, other] = [await askProcess(sandbox), await askProcess(sandbox)];
  return {
    "/dev/urandom": urandom,
    "/dev/random": random,
    "/etc/machine-id": machineId,
    boot_id: bootId,
    uuid,
    getrandom: one.random,
    "getrandom in another process": other.random,
    AT_RANDOM: one.given,
    "AT_RANDOM of another process": other.given,
    // 2^22 pages or more to choose from (Documentation/admin-guide/sysctl/vm.rst, mmap_rnd_bits): two of 100 being the same
    // is one chance in a thousand, in both at once none.
    "addresses of a process": `${one.stack} ${one.program}`,
    "addresses of another process": `${other.stack} ${other.program}`,
  };
}

test("50 sandboxes of one template are strangers to each other", { timeout }, async () => {
  const count = 50;
  const seen = new Map<string, Set<string>>();
  await fewAtATime(count, async (index) => {
    const sandbox = await small(`clone-${index}`);
    for (const [what, value] of Object.entries(await identity(sandbox))) {
      // The same kind of fact must differ between processes too.
      const kind = what.replace(/ (?:in|of) (?:another|a) process$/, "");
      seen.set(kind, (seen.get(kind) ?? new Set()).add(value));
    }
    assert.match(await runtimeLog(home, sandbox.name), /started from the image template/);
    await destroy(sandbox);
  });
  for (const [kind, values] of seen) {
    const perSandbox = ["getrandom", "AT_RANDOM", "addresses"].includes(kind) ? 2 : 1;
    assert.equal(values.size, count * perSandbox, `${kind}: ${[...values].join(" ")}`);
  }
  assert.equal(seen.size, 8, [...seen.keys()].join());
  await processesGone(home);
});

test(
  "a sandbox of a template has the host's time, and a monotonic clock that goes on",
  { timeout },
  async () => {
    const ahead: number[] = [];
    for (let index = 0; index < 3; index++) {
      const sandbox = await small(`clock-${index}`);
      await installProbe(sandbox, probe);
      const first = await readClock(sandbox);
      const second = await readClock(sandbox);
      ahead.push(...[first, second].map(({ least, most }) => Math.abs((least + most) / 2)));
      const passedMs = (second.monotonicNs - first.monotonicNs) / 1e6;
      assert.ok(passedMs > 0, `${passedMs} ms`);
      // It counts from the boot of the template, and not the time since then.
      const uptimeS = first.monotonicNs / 1e9;
      assert.ok(uptimeS > 0 && uptimeS < 600, `${uptimeS} s`);
      assert.ok(Number((await output(sandbox, "cat /proc/uptime")).split(" ")[0]) < 600);
      await destroy(sandbox);
    }
    // A guest that waits for a processor while it sets its clock is late by that much. None is as late as the template is old.
    assert.ok(
      Math.min(...ahead) <= 50 && Math.max(...ahead) < 1000,
      `${ahead.join(", ")} ms from the host's time`,
    );
  },
);

test("what one sandbox writes no other one sees, and the template stays as it is", { timeout }, async () => {
  const template = await templateOf(home, "image");
  const machine = await templateOf(home, "machine");
  const before = [await hashesOf(template), await hashesOf(machine)];
  assert.deepEqual(Object.keys(before[0] ?? {}), ["memory", "state", "upper.extents"]);
  const count = 10;
  const sandboxes: Sandbox[] = [];
  await fewAtATime(count, async (index) => {
    const sandbox = await small(`writer-${index}`);
    sandboxes[index] = sandbox;
    await output(
      sandbox,
      `echo ${index} > /root/mine; echo ${index} > /only-${index}; echo ${index} > /etc/issue.new
       echo changed-${index} >> /etc/passwd; rm /etc/hosts; mkdir /etc/of-${index}
       head -c 8M /dev/urandom > /root/bulk; sync; sha256sum < /root/bulk > /root/sum`,
    );
  });
  // All of them run, and each has its own.
  for (const [index, sandbox] of sandboxes.entries()) {
    const found = await output(
      sandbox,
      `cat /root/mine /etc/issue.new; ls -d /only-* /etc/of-*; grep -c ^changed- /etc/passwd; ls /etc/hosts 2>&1 | wc -l
       echo 3 > /proc/sys/vm/drop_caches; sha256sum < /root/bulk | diff - /root/sum && echo same`,
    );
    const expected = [index, index, `/etc/of-${index}`, `/only-${index}`, 1, 1, "same"];
    assert.deepEqual(found.split("\n"), expected.map(String));
  }
  assert.deepEqual([await hashesOf(template), await hashesOf(machine)], before);
  const fresh = await small("after");
  assert.equal(
    await output(fresh, "ls /root; ls -d /only-* 2>/dev/null; grep -c changed /etc/passwd || true"),
    "0",
  );
  assert.match(await output(fresh, "cat /etc/hosts"), /localhost/);
  assert.match(await runtimeLog(home, "after"), new RegExp(`image template ${template.key}`));
  await Promise.all([...sandboxes, fresh].map(destroy));
  assert.deepEqual([await hashesOf(template), await hashesOf(machine)], before);
});

test("each processor of each sandbox has random numbers of its own", { timeout }, async () => {
  const changes = { cpus: 2 };
  await destroy(await small("first-of-two", changes));
  const numbers = await Promise.all(
    ["two-a", "two-b"].map(async (name) => {
      const sandbox = await small(name, changes);
      assert.match(await runtimeLog(home, name), /started from the image template/);
      // Each keeps a key of its own, taken from the common pool (drivers/char/random.c).
      const read = "head -c 16 /dev/urandom | od -An -tx1";
      const found = await output(sandbox, `taskset 1 sh -c '${read}'; taskset 2 sh -c '${read}'`);
      await destroy(sandbox);
      return found.split("\n");
    }),
  );
  const all = numbers.flat();
  assert.equal(new Set(all).size, 4, all.join());
});
