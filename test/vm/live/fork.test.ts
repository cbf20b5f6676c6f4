import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  InvalidConfigError,
  MicrosandboxError,
  Sandbox,
  SandboxAlreadyExistsError,
  SandboxNotRunningError,
  UnsupportedOperationError,
  type ExecHandle,
} from "../../../src/index.ts";
import { GuestMemory } from "../../../src/machine/memory/guest-memory.ts";
import { output } from "../images/root-support.ts";
import { processesGone, processOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { askProcess, buildProbe, installProbe } from "../machine/guest-probe.ts";
import { eventually, printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "rust"];

// Copies of running sandboxes, which go on where those were.
const home = useTemporaryHome();
/** Of one copy. By hand, with more: `MSB_TEST_CHILDREN=50 node scripts/test-vm.ts templates fork.test.ts`. */
const children = Number(process.env["MSB_TEST_CHILDREN"] ?? 20);

const small = (name: string) => Sandbox.builder(name).image("localhost/base").memory(smallMemory);

/** What lies in the home for sandboxes, those that are being made too. */
const directories = (): string[] => readdirSync(join(home, "sandboxes")).sort();

const counting = "n=0; while :; do n=$((n + 1)); echo $n | tee /tmp/n; sleep 0.05; done";
const counted = async (sandbox: Sandbox): Promise<number> => Number(await output(sandbox, "cat /tmp/n"));

async function counts(sandbox: Sandbox): Promise<void> {
  const from = await counted(sandbox);
  await eventually(`the counter of ${sandbox.name}`, async () =>
    (await counted(sandbox)) > from ? true : null,
  );
}

describe("one sandbox and its copies", () => {
  let parent: Sandbox;
  let counter: ExecHandle;
  before(async () => {
    parent = await small("parent").createDetached();
    await output(
      parent,
      "head -c 6000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum; echo before > /root/note",
    );
    counter = await parent.execStream("sh", ["-c", counting]);
    await printed(counter);
  });
  after(() => parent.destroy());

  test("programs, memory and files go on in the child, and in the parent", { timeout }, async (t) => {
    const begun = performance.now();
    const child = await parent.fork("child");
    t.diagnostic(`forked in ${(performance.now() - begun).toFixed(0)} ms`);
    assert.equal(child.startReport?.route, "continued");
    assert.equal(child.ownsLifecycle, false);
    assert.equal((await child.shell("md5sum -c /dev/shm/sum; cat /root/note")).code, 0);
    assert.equal(await output(child, "hostname; cat /etc/hostname"), "child\nchild");
    assert.equal(await output(parent, "hostname; cat /etc/hostname"), "parent\nparent");
    await Promise.all([counts(parent), counts(child)]);
    assert.deepEqual(JSON.parse(await output(child, "cat /.msb/fork.json")), {
      name: "child",
      source: "parent",
    });
    assert.equal((await parent.shell("cat /.msb/fork.json")).code, 1);
    // What the child's command prints nobody reads, and is in its log.
    // What was asked of it here is there, too.
    const shown = (await child.logs({ tail: 50 })).map((entry) => entry.text());
    assert.ok(
      shown.some((text) => Number(text) > 0),
      shown.join(),
    );
    await child.destroy();
    assert.deepEqual(directories(), ["parent"]);
  });

  test("a copy of a copy of a copy, whose sources are removed", { timeout }, async () => {
    let source = parent;
    for (const name of ["one", "two", "three"]) {
      const child = await source.fork(name);
      await child.shell(`echo ${name} >> /root/note`);
      if (source !== parent) await source.destroy();
      source = child;
    }
    assert.equal(await output(source, "cat /root/note"), "before\none\ntwo\nthree");
    assert.equal((await source.shell("md5sum -c /dev/shm/sum")).code, 0);
    assert.deepEqual(JSON.parse(await output(source, "cat /.msb/fork.json")), {
      name: "three",
      source: "two",
    });
    await counts(source);
    // It is a sandbox like any other.
    await source.stop();
    const again = await Sandbox.start("three");
    assert.equal(await output(again, "hostname; tail -n 1 /root/note"), "three\nthree");
    await again.destroy();
  });

  test("a paused one stays paused, and its copies run", { timeout }, async () => {
    await parent.pause();
    const child = await parent.fork("of-a-paused-one");
    assert.equal((await Sandbox.get("parent")).status, "paused");
    await assert.rejects(parent.fork("flushed", { guestFlush: "required" }), /is paused/);
    await counts(child);
    await child.destroy();
    const before = await parent.metrics();
    await parent.resume();
    await counts(parent);
    assert.ok(before.copies >= 1 && before.copyPauseMs > 0, JSON.stringify(before));
  });

  test("names: good ones have a child, whatever the others are", { timeout }, async () => {
    const results = await parent.forkMany(["first", "parent", "second"]);
    assert.deepEqual(
      results.map(({ name, error }) => [name, error?.constructor ?? null]),
      [
        ["first", null],
        ["parent", SandboxAlreadyExistsError],
        ["second", null],
      ],
    );
    const counted = await parent.fork({ count: 2 });
    const all = [...counted, ...results.map(({ sandbox }) => sandbox)].filter(
      (one) => one instanceof Sandbox,
    );
    assert.equal(all.length, 4);
    assert.equal(new Set(all.map(({ name }) => name)).size, 4);
    await Promise.all(all.map(async (one) => assert.equal(await output(one, "hostname"), one.name)));
    await Promise.all(all.map((one) => one.kill()));
    await Promise.all(all.map((one) => one.removePersisted()));
    await assert.rejects(parent.fork("parent"), SandboxAlreadyExistsError);
    for (const wrong of [
      () => parent.forkMany([]),
      () => parent.forkMany(["same", "same"]),
      () => parent.fork("no/name"),
      () => parent.fork({ count: 0 }),
      () => parent.fork({ count: 1.5 }),
      () => parent.fork("x", { notify: "SIGNOTHING" }),
      () => parent.fork("x", { guestFlush: "perhaps" as never }),
      () => parent.fork("x", { ports: { "80": 0 } }),
      () => parent.fork("x", { others: true } as never),
      () => parent.forkMany(["x", "y"], { ports: { "8080": 80 } }),
    ])
      await assert.rejects(wrong, InvalidConfigError, String(wrong));
    assert.deepEqual(directories(), ["parent"]);
    await counts(parent);
  });

  test("ports are the child's own", { timeout }, async () => {
    const child = await parent.fork("published", { ports: [[0, 7]] });
    await child.execStream("sh", ["-c", "while :; do echo hello | nc -l -p 7; done"]);
    const [port] = await child.ports();
    assert.deepEqual(await parent.ports(), []);
    const heard = await eventually("the child's port", async () => {
      const socket = connect(port?.hostPort ?? 0, "127.0.0.1");
      const text = new Promise<string>((resolve) => {
        let said = "";
        socket.on("data", (chunk) => (said += chunk.toString()));
        socket.on("error", () => undefined);
        socket.on("close", () => resolve(said));
      });
      return (await text) || null;
    });
    assert.equal(heard, "hello\n");
    await child.destroy();
  });

  test("two at once, while the parent works its disk and talks", { timeout }, async () => {
    const wanted = createHash("md5");
    for (let n = 1; n <= 60_000; n++) wanted.update(`${n} of many lines that somebody reads\n`);
    const talk = await parent.execStream("sh", [
      "-c",
      "n=0; while [ $n -lt 60000 ]; do n=$((n + 1)); echo $n of many lines that somebody reads; done",
    ]);
    await parent.execStream("sh", [
      "-c",
      "while :; do head -c 3000000 /dev/urandom > /root/bulk.new; md5sum < /root/bulk.new > /root/sum.new; mv /root/bulk.new /root/bulk; mv /root/sum.new /root/sum; sync; done",
    ]);
    const heard = createHash("md5");
    const listening = (async () => {
      for (let event = await talk.recv(); event !== null; event = await talk.recv())
        if (event.kind === "stdout") heard.update(event.data);
    })();
    const other = await Sandbox.get("parent").then((handle) => handle.connect());
    for (let round = 0; round < 2; round++) {
      const two = await Promise.all([parent.fork(`left-${round}`), other.fork(`right-${round}`)]);
      for (const child of two) {
        await child.shell("killall head md5sum sh; sync; echo 3 > /proc/sys/vm/drop_caches");
        assert.equal(await output(child, "dmesg | grep -ci 'ext4.*error\\|i/o error' || true"), "0");
        await output(child, "find / -xdev -type f | xargs cat > /dev/null; echo on > /root/it; sync");
        assert.equal((await child.shell("md5sum -c /dev/shm/sum")).code, 0);
        await child.destroy();
      }
    }
    await listening;
    assert.equal(heard.digest("hex"), wanted.digest("hex"), "the parent's output is not whole");
    await parent.shell("pkill -f bulk.new");
    assert.equal(await output(parent, "sync; dmesg | grep -ci 'ext4.*error\\|i/o error' || true"), "0");
  });

  test("a copy ends its own way, whatever becomes of it or its parent meanwhile", { timeout }, async (t) => {
    const acts: Readonly<Record<string, (sandbox: Sandbox) => Promise<unknown>>> = {
      stop: (sandbox) => sandbox.stop(),
      kill: (sandbox) => sandbox.kill(),
      suspend: (sandbox) => sandbox.suspend(),
      pause: (sandbox) => sandbox.pause().then(() => sandbox.resume()),
    };
    const outcomes: string[] = [];
    for (const [what, act] of Object.entries(acts)) {
      for (const afterMs of [0, 100]) {
        const source = await parent.fork("source");
        const forking = source.fork("raced").then(
          (child) => child,
          (error: unknown) => error,
        );
        await sleep(afterMs);
        await act(source).catch((error: unknown) => {
          assert.ok(error instanceof MicrosandboxError, String(error));
        });
        const child = await forking;
        if (child instanceof Sandbox) {
          assert.equal((await child.shell("md5sum -c /dev/shm/sum")).code, 0, `${what} after ${afterMs} ms`);
          await counts(child);
          await child.destroy();
        } else {
          assert.ok(child instanceof MicrosandboxError, `${what} after ${afterMs} ms: ${String(child)}`);
        }
        outcomes.push(`${what} ${afterMs}: ${child instanceof Sandbox ? "forked" : String(child)}`);
        assert.deepEqual(directories(), ["parent", "source"]);
        await (await Sandbox.get("source")).kill().catch(() => undefined);
        await Sandbox.remove("source");
      }
    }
    t.diagnostic(outcomes.join("\n"));
    await counts(parent);
  });
});

/** What no two sandboxes may share, as the first commands in them find it. */
async function identity(sandbox: Sandbox): Promise<Record<string, string>> {
  const script = `
    head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo
    cat /etc/machine-id /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid; hostname`;
  const [urandom = "", machineId = "", bootId = "", uuid = "", hostname = ""] = (
    await output(sandbox, script)
  ).split("\n");
  assert.equal(hostname, sandbox.name);
  assert.match(bootId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  const { random, given } = await askProcess(sandbox);
  return { urandom, machineId, bootId, uuid, random, given };
}

/** The file of the memory of all children, which was removed and is open, and those of templates of this size. */
async function sharedFiles(names: readonly string[]): Promise<string[]> {
  const bytes = smallMemory * 1024 * 1024;
  const paths = await Promise.all(
    names.map(async (name) => {
      const memory = await GuestMemory.find(await processOf(home, name, "qemu"), bytes);
      assert.equal(memory.isPrivate, true);
      return memory.filePath;
    }),
  );
  assert.equal(new Set(paths.map((path) => statSync(path).ino)).size, 1, "they share the memory of the copy");
  const templates = readdirSync(join(home, "templates"), { withFileTypes: true })
    .map(({ name }) => join(home, "templates", name))
    .filter((path) => statSync(join(path, "memory"), { throwIfNoEntry: false })?.size === bytes)
    .flatMap((path) => ["memory", "state", "upper.extents"].map((part) => join(path, part)))
    .filter((path) => existsSync(path));
  return [...paths.slice(0, 1), ...templates];
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

test(
  "children of one copy are strangers to each other, and write to nothing in common",
  { timeout },
  async (t) => {
    const parent = await small("crowd").createDetached();
    await installProbe(parent, await buildProbe());
    // The kernel makes its id when it is asked first.
    const before = await identity(parent);
    await output(parent, "head -c 2000000 /dev/zero > /dev/shm/page");
    const names = Array.from({ length: children }, (_, index) => `child-${index}`);
    const begun = performance.now();
    const results = await parent.forkMany(names);
    t.diagnostic(`${children} children in ${(performance.now() - begun).toFixed(0)} ms`);
    const all = results.map(({ sandbox, error }) => sandbox ?? assert.fail(error));
    const shared = await sharedFiles(names);
    const hashes = await Promise.all(shared.map(hashOf));
    await parent.destroy();
    const seen = [before];
    for (let from = 0; from < all.length; from += 4)
      seen.push(...(await Promise.all(all.slice(from, from + 4).map((child) => identity(child)))));
    for (const what of Object.keys(before)) {
      const values = seen.map((one) => one[what]);
      assert.equal(new Set(values).size, values.length, `${what}: ${values.join(" ")}`);
    }
    await Promise.all(
      all.map((child, index) =>
        output(
          child,
          `for i in $(seq 500); do echo ${index}; done > /dev/shm/page; echo ${index} > /root/mine; sync`,
        ),
      ),
    );
    for (const [index, child] of all.entries())
      assert.equal(
        await output(child, "sort -u /dev/shm/page; echo 3 > /proc/sys/vm/drop_caches; cat /root/mine"),
        `${index}\n${index}`,
      );
    assert.deepEqual(await Promise.all(shared.map(hashOf)), hashes);
    await Promise.all(all.map((child) => child.kill()));
    await Promise.all(all.map((child) => child.removePersisted()));
    assert.deepEqual(directories(), []);
    await processesGone(home);
  },
);

test("one that cannot be copied says what is in the way, and goes on", { timeout }, async () => {
  await using mounted = await small("mounted")
    .volume("/work", (m) => m.bind(home))
    .create();
  await assert.rejects(mounted.fork("x"), (error) => {
    assert.ok(error instanceof UnsupportedOperationError);
    assert.match(error.message, /mounted cannot be copied.*\/work/);
    return true;
  });
  assert.equal(await output(mounted, "echo on"), "on");
  await mounted.stop();
  await assert.rejects(mounted.fork("x"), SandboxNotRunningError);
  assert.deepEqual(directories(), ["mounted"]);
});
