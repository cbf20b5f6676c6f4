import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CheckpointAlreadyExistsError,
  CheckpointNotFoundError,
  InvalidConfigError,
  IoError,
  RuntimeError,
  Sandbox,
  SandboxNotRunningError,
  UnsupportedOperationError,
} from "../../../src/index.ts";
import { MsbHome } from "../cli/cli-support.ts";
import {
  builderSource,
  processesGone,
  processesOf,
  processOf,
  runProgram,
  smallMemory,
  timeout,
} from "../lifecycle-support.ts";
import { clockIsRight, eventually, printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// A sandbox goes back to where it was, memory and disk together, and stays the sandbox that it is.
const home = useTemporaryHome();

const small = (name: string) => Sandbox.builder(name).image("localhost/base").memory(smallMemory);
const statusOf = async (name: string): Promise<string> => (await Sandbox.get(name)).status;
const directoryOf = (name: string): string => join(home, "sandboxes", name);

/** What is being made, or was being gone back to, or was gone on with. */
function leftovers(name: string): string[] {
  const checkpoints = join(directoryOf(name), "checkpoints");
  return [
    ...readdirSync(directoryOf(name)).filter((entry) => /rollback|suspended/.test(entry)),
    ...(existsSync(checkpoints) ? readdirSync(checkpoints) : []).filter((entry) => entry.startsWith(".")),
  ];
}

/** A guest that runs removes in the background what it has gone on with. */
async function nothingLeft(name: string): Promise<void> {
  await eventually("nothing to be left", () => Promise.resolve(leftovers(name).length === 0 ? true : null));
}

/**
 * Keeps a checksummed text in its memory and counts on the disk and in memory; each round has a random number of the kernel's and one from
 * getrandom(2).
 */
const program = `
  big=$(head -c 20000 /dev/urandom | base64); sum=$(echo "$big" | md5sum); n=0
  while :; do
    [ "$(echo "$big" | md5sum)" = "$sum" ] || echo "$n" >> /root/damaged
    n=$((n + 1)); for to in /root/n /dev/shm/n; do echo $n > $to.new; mv $to.new $to; done
    echo $(head -c 16 /dev/urandom | md5sum) $(mktemp -u) $(cat /proc/sys/kernel/random/uuid) >> /dev/shm/random
    echo $n
  done`;

test("memory, programs and disk go back together, as often as one likes", { timeout }, async (t) => {
  await using sandbox = await small("back")
    .port(0, 8000)
    .secretEnv("API_KEY", "value-of-the-key", "api.example.com")
    .create();
  await sandbox.execStream("nc", ["-ll", "-p", "8000", "-e", "echo", "hello"]);
  await sandbox.waitForPort(8000);
  const counter = await sandbox.execStream("sh", ["-c", program]);
  await printed(counter);
  await sandbox.shell("echo first > /root/mark; echo first > /dev/shm/mark");
  const identity = "cat /etc/hostname /etc/machine-id; hostname; ip -o addr show | grep -v ' lo '";
  const before = (await sandbox.shell(identity)).stdout();
  const ports = await sandbox.ports();
  const supervisor = await processOf(home, "back", "supervisor");
  let begun = performance.now();
  const first = await sandbox.checkpoint();
  t.diagnostic(`checkpoint in ${(performance.now() - begun).toFixed(0)} ms: ${JSON.stringify(first)}`);
  const lines = Number((await sandbox.shell("wc -l < /dev/shm/random")).stdout());
  const heard = new Set<string>();
  const took: number[] = [];
  for (let times = 0; times < 20; times++) {
    await sandbox.shell(`echo ${times} > /root/mark; echo ${times} > /dev/shm/mark; sync`);
    begun = performance.now();
    await sandbox.rollback(first);
    took.push(performance.now() - begun);
    const marks = await sandbox.shell("cat /root/mark /dev/shm/mark; test -e /root/damaged && echo damaged");
    assert.equal(marks.stdout(), "first\nfirst\n");
    const ownRandom = (await sandbox.shell("head -c 16 /dev/urandom | md5sum; mktemp -u")).stdout();
    const found = await eventually("the program to go on", async () => {
      const output = await sandbox.shell("cat /root/n; cat /dev/shm/n; cat /dev/shm/random");
      const [disk = "", memory = "", ...random] = output.stdout().trim().split("\n");
      // The first of them may have been begun before the checkpoint.
      return random.length > lines + 2 ? { disk, memory, random: random.slice(lines + 1, lines + 3) } : null;
    });
    assert.ok(Math.abs(Number(found.disk) - Number(found.memory)) <= 2, `${found.disk}, ${found.memory}`);
    const words = [...found.random, ownRandom].flatMap((line) => line.trim().split(/\s+/));
    for (const word of words.filter((one) => one !== "-")) {
      assert.ok(!heard.has(word), `${word} twice`);
      heard.add(word);
    }
  }
  t.diagnostic(`back in ${took.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  assert.ok(heard.size >= 100);
  await assert.rejects(counter.wait(), (error) => {
    assert.ok(error instanceof RuntimeError);
    assert.match(error.message, new RegExp(`back went back to its checkpoint ${first.id}`));
    return true;
  });
  assert.equal((await sandbox.shell(identity)).stdout(), before);
  assert.deepEqual(await sandbox.ports(), ports);
  assert.equal(await text(connect(ports[0]?.hostPort ?? 0)), "hello\n");
  assert.equal((await sandbox.shell("echo $API_KEY")).stdout(), "$MSB_API_KEY\n");
  assert.equal(await processOf(home, "back", "supervisor"), supervisor);
  await clockIsRight(sandbox);
  // What goes on to print does so to the log.
  await eventually("its output in the log", async () => {
    const [last] = (await sandbox.logs({ tail: 1 })).map((entry) => Number(entry.text()));
    return last !== undefined && last > 0 ? true : null;
  });
  await nothingLeft("back");
});

test(
  "to older and newer ones, over stops, and they are listed, removed and limited",
  { timeout },
  async () => {
    const sandbox = await small("many").createDetached();
    const mark = (word: string) =>
      sandbox.shell(`echo ${word} > /root/mark; echo ${word} > /dev/shm/mark; echo ${word} > /root/${word}`);
    const marks = async () => (await sandbox.shell("cat /root/mark /dev/shm/mark; ls /root")).stdout();
    await mark("one");
    await sandbox.checkpoint("one");
    await mark("two");
    await sandbox.checkpoint("two", { guestFlush: "required" });
    await mark("three");
    await sandbox.rollback("one");
    assert.equal(await marks(), "one\none\nmark\none\n");
    await sandbox.rollback("two");
    assert.equal(await marks(), "two\ntwo\nmark\none\ntwo\n");
    await assert.rejects(sandbox.checkpoint("two"), CheckpointAlreadyExistsError);
    await assert.rejects(sandbox.rollback("three"), CheckpointNotFoundError);
    await assert.rejects(sandbox.checkpoint("../up"), InvalidConfigError);
    // One of a state that was gone back to.
    await mark("branch");
    await sandbox.checkpoint("branch");
    await sandbox.rollback("one");
    await sandbox.rollback("branch");
    assert.equal(await marks(), "branch\nbranch\nbranch\nmark\none\ntwo\n");
    // Whatever it does: stopped, suspended, crashed, paused. It runs then.
    for (const end of [
      () => sandbox.stop(),
      () => sandbox.suspend(),
      async () => {
        process.kill(await processOf(home, "many", "supervisor"), "SIGKILL");
        await processesGone(home, "many");
      },
      () => sandbox.pause(),
      () => sandbox.kill(),
    ]) {
      await mark("lost");
      await end();
      await sandbox.rollback("two");
      assert.equal(await statusOf("many"), "running");
      assert.equal(await marks(), "two\ntwo\nmark\none\ntwo\n", String(end));
      assert.equal((await Sandbox.get("many")).startReport?.reason, "went back to the checkpoint two");
    }
    assert.deepEqual(
      (await sandbox.checkpoints()).map(({ id }) => id),
      ["one", "two", "branch"],
    );
    const [one] = await sandbox.checkpoints();
    assert.ok(one !== undefined && one.memoryBytes > 1_000_000 && one.diskBytes > 0);
    await sandbox.removeCheckpoint(one);
    await assert.rejects(sandbox.removeCheckpoint(one), CheckpointNotFoundError);
    // One whose checkpoint is removed meanwhile goes on.
    await sandbox.rollback("two");
    await sandbox.removeCheckpoint("two");
    assert.equal(await marks(), "two\ntwo\nmark\none\ntwo\n");
    await sandbox.rollback("branch");
    for (let number = (await sandbox.checkpoints()).length; number < 100; number++)
      mkdirSync(join(directoryOf("many"), "checkpoints", `filler-${number}`));
    await assert.rejects(sandbox.checkpoint(), /has 100 checkpoints already/);
    await nothingLeft("many");
    // A host that is another one now is told before anything ends.
    const path = join(directoryOf("many"), "checkpoints/branch/suspended.json");
    writeFileSync(path, readFileSync(path, "utf8").replace(/"qemuVersion":"[^"]*"/, '"qemuVersion":"6.0.0"'));
    await mark("kept");
    await assert.rejects(sandbox.rollback("branch"), /cannot go back .* branch: QEMU was 6\.0\.0, and is /);
    assert.match(await marks(), /^kept\nkept\n/);
    await sandbox.stop();
    await assert.rejects(sandbox.rollback("branch"), /QEMU was 6\.0\.0, and is /);
    assert.equal(await statusOf("many"), "stopped");
    await assert.rejects(sandbox.checkpoint(), SandboxNotRunningError);
    await sandbox.destroy();
    assert.deepEqual(existsSync(directoryOf("many")) ? readdirSync(directoryOf("many")) : [], []);
    assert.ok(!existsSync(directoryOf("many")));
  },
);

test("killed at any moment, it is the one or the other, and nothing is left", { timeout }, async (t) => {
  let sandbox = await small("killed").createDetached();
  await sandbox.shell("echo then > /root/mark; echo then > /dev/shm/mark; sync");
  await sandbox.checkpoint("then");
  const found = new Map<string, number>();
  for (let times = 0; times < 16; times++) {
    await sandbox.shell("echo now > /root/mark; echo now > /dev/shm/mark; sync");
    if (times % 2 === 1) {
      // The program that asks for it; its sandbox is its own.
      await sandbox.stop();
      const asker = runProgram(
        t,
        `const handle = await Sandbox.get("killed"); say("on"); await handle.rollback("then");`,
      );
      await asker.line();
      await sleep(times * 8);
      asker.kill();
      await asker.ended;
    } else {
      const going = sandbox.rollback("then").catch(() => undefined);
      await sleep(times * 18);
      const supervisor = (await processesOf(home, "killed")).find(({ kind }) => kind === "supervisor");
      if (supervisor !== undefined) process.kill(supervisor.pid, "SIGKILL");
      await going;
      await processesGone(home, "killed");
    }
    sandbox = await (await Sandbox.get("killed")).connectOrStart({ detached: true });
    const { route } = sandbox.startReport ?? {};
    const marks = (await sandbox.shell("cat /root/mark /dev/shm/mark 2> /dev/null")).stdout();
    // One that was killed has lost its memory, before it went back or after. That of then goes with the disk of then.
    const possible = route === "continued" ? ["then\nthen\n"] : ["now\n", "then\n"];
    assert.ok(possible.includes(marks), `${route}: ${marks}`);
    const what = `${marks.trim().replace("\n", ", ")} (${route})`;
    found.set(what, (found.get(what) ?? 0) + 1);
    await nothingLeft("killed");
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(found)));
  for (let times = 0; times < 4; times++) {
    const making = sandbox.checkpoint(`new-${times}`).then(
      () => true,
      () => false,
    );
    await sleep(times * 40);
    process.kill(await processOf(home, "killed", "supervisor"), "SIGKILL");
    const made = await making;
    await processesGone(home, "killed");
    sandbox = await Sandbox.startDetached("killed");
    await nothingLeft("killed");
    const there = (await sandbox.checkpoints()).some(({ id }) => id === `new-${times}`);
    assert.ok(there || !made);
    if (!there) continue;
    await sandbox.rollback(`new-${times}`);
    assert.equal((await sandbox.exec("true")).code, 0);
  }
  await sandbox.destroy();
});

const mayMount = process.platform === "linux" && process.getuid?.() === 0;

test("a full disk leaves the sandbox as it is", { timeout, skip: !mayMount }, async () => {
  const sandbox = await small("full").createDetached();
  const checkpoints = join(directoryOf("full"), "checkpoints");
  mkdirSync(checkpoints);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "none", checkpoints]);
  try {
    await assert.rejects(sandbox.checkpoint("no-room"), IoError);
    assert.equal((await sandbox.shell("echo on")).stdout(), "on\n");
    assert.deepEqual(readdirSync(checkpoints), []);
    execFileSync("mount", ["-o", "remount,size=500m", checkpoints]);
    // On another file system there are no links.
    await sandbox.shell("echo then > /dev/shm/mark");
    await sandbox.checkpoint("room");
    await sandbox.shell("rm /dev/shm/mark");
    await sandbox.rollback("room");
    assert.equal((await sandbox.shell("cat /dev/shm/mark")).stdout(), "then\n");
    await nothingLeft("full");
  } finally {
    await sandbox.kill();
    execFileSync("umount", [checkpoints]);
  }
  await sandbox.removePersisted();
});

test("two at once, while the disk is written all the time, and an ephemeral one", { timeout }, async () => {
  await using sandbox = await small("busy").ephemeral().create();
  await sandbox.execStream("sh", [
    "-c",
    "while :; do head -c 3000000 /dev/urandom > /root/a; md5sum /root/a > /root/a.sum; cp /root/a /root/b; sync; done",
  ]);
  await sandbox.shell("head -c 3000000 /dev/urandom > /root/still; md5sum /root/still > /root/still.sum");
  const made = await Promise.all([sandbox.checkpoint(), sandbox.checkpoint("named"), sandbox.checkpoint()]);
  assert.equal(new Set(made.map(({ id }) => id)).size, 3);
  for (const checkpoint of made) {
    await sandbox.shell("echo damaged > /root/still");
    await sandbox.rollback(checkpoint);
    assert.equal((await sandbox.shell("md5sum -c /root/still.sum")).code, 0);
  }
  // Two ways back at once: one after the other.
  await Promise.all([sandbox.rollback("named"), sandbox.rollback("named")]);
  assert.equal(
    (await sandbox.shell("md5sum -c /root/still.sum; dmesg | grep -i 'ext4.*error'")).stdout(),
    "/root/still: OK\n",
  );
  await sandbox.stop();
  assert.ok(!existsSync(directoryOf("busy")));
});

test("it stays its owner's, who goes on with it, and others see what is done", { timeout }, async (t) => {
  const owner = runProgram(
    t,
    `const sandbox = await ${builderSource("owned")}.create();
     await sandbox.shell("echo then > /dev/shm/mark");
     await sandbox.checkpoint("then");
     await sandbox.shell("echo now > /dev/shm/mark");
     say("made");
     while (true) {
       const mark = await sandbox.shell("cat /dev/shm/mark").then((o) => o.stdout().trim(), (error) => error.message);
       say(mark);
       await new Promise((resolve) => setTimeout(resolve, 20));
     }`,
  );
  while ((await owner.line()) !== "made");
  const handle = await Sandbox.get("owned");
  const connected = await handle.connect();
  const ended = connected.wait();
  ended.catch(() => undefined);
  const back = new MsbHome({ path: home }).msb("rollback", "owned");
  await handle.waitForStatus("starting");
  assert.equal((await back).code, 0, (await back).stderr);
  // The same connection goes on.
  assert.equal((await connected.shell("cat /dev/shm/mark")).stdout(), "then\n");
  const heard = new Set<string>();
  for (let line = await owner.line(); line !== "then"; line = await owner.line()) heard.add(line);
  assert.ok(heard.has("now"));
  assert.equal(await statusOf("owned"), "running");
  owner.kill();
  assert.equal((await ended).success, true);
  await processesGone(home, "owned");
  assert.equal(await statusOf("owned"), "stopped");
  // Of one that was its own it is again.
  await handle.rollback("then");
  await (await handle.connect()).destroy();
});

test("what has files of the host is refused, and msb tells of all this", { timeout }, async () => {
  const cli = new MsbHome({ path: home });
  await using mounted = await small("mounted")
    .volume("/work", (m) => m.bind(home).readonly())
    .create();
  await assert.rejects(mounted.checkpoint(), UnsupportedOperationError);
  assert.equal((await mounted.exec("true")).code, 0);
  assert.deepEqual(leftovers("mounted"), []);
  const sandbox = await small("cli").createDetached();
  await sandbox.shell("echo then > /dev/shm/mark");
  const none = await cli.msb("rollback", "cli");
  assert.match(none.stderr, /has no checkpoints[^]*msb checkpoint create cli/);
  const created = await cli.msb("checkpoint", "create", "cli");
  assert.equal(created.code, 0, created.stderr);
  assert.equal((await cli.msb("checkpoint", "create", "--flush", "cli", "second")).stdout, "second\n");
  assert.equal((await cli.msb("checkpoint", "ls", "-q", "cli")).stdout, `${created.stdout}second\n`);
  assert.match((await cli.msb("checkpoint", "ls", "cli")).stdout, /CHECKPOINT +MEMORY +DISK +CREATED\n/);
  const [first] = JSON.parse((await cli.msb("checkpoint", "ls", "--format", "json", "cli")).stdout) as {
    memory_bytes: number;
  }[];
  assert.ok((first?.memory_bytes ?? 0) > 1_000_000);
  await sandbox.stop();
  const back = await cli.msb("rollback", "cli", created.stdout.trim());
  assert.equal(back.code, 0, back.stderr);
  assert.equal((await cli.msb("exec", "cli", "--", "cat", "/dev/shm/mark")).stdout, "then\n");
  assert.equal((await cli.msb("checkpoint", "rm", "cli", "second")).code, 0);
  assert.equal((await cli.msb("checkpoint", "rm", "cli", "second")).code, 1);
  assert.equal((await cli.msb("rm", "-f", "cli")).code, 0);
});
