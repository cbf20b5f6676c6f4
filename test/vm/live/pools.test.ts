import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Image,
  InvalidConfigError,
  PoolAlreadyExistsError,
  PoolNotFoundError,
  Sandbox,
  SandboxAlreadyExistsError,
  Storage,
  UnsupportedOperationError,
  type SandboxPool,
} from "../../../src/index.ts";
import { PROTOCOL_VERSION } from "../../../src/protocol/generated/messages.ts";
import { busyboxLayer } from "../../registry/busybox.ts";
import { image, layer, writeLayout } from "../../registry/images.ts";
import { MsbHome, type Result } from "../cli/cli-support.ts";
import { processesGone, processesOf, runProgram, smallMemory, timeout } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "disks"];

// Sandboxes that are started ahead, and stand still until somebody takes one.
const home = useTemporaryHome();
const config = { image: "localhost/base", memoryMib: smallMemory };
const warm = "echo warm > /dev/shm/state; echo disk > /root/note; sync";

interface Member {
  readonly directory: string;
  readonly supervisor: number;
}

function membersOf(pool: SandboxPool): Member[] {
  const members = join(home, "pools", pool.name, "members");
  return readdirSync(members)
    .filter((name) => !name.startsWith("."))
    .map((name) => {
      const directory = join(members, name);
      const state = JSON.parse(readFileSync(join(directory, "state.json"), "utf8")) as {
        readonly supervisor: { readonly pid: number };
      };
      return { directory, supervisor: state.supervisor.pid };
    });
}

/** Processor time of a process so far, in clock ticks: proc(5), fields 14 and 15. */
function ticks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function identityOf(sandbox: Sandbox): Promise<string[]> {
  const asked =
    "hostname; cat /etc/machine-id; head -c 16 /dev/urandom | md5sum; cat /dev/shm/state /root/note";
  const output = await sandbox.shell(asked);
  assert.equal(output.code, 0, output.stderr());
  return output.stdout().split("\n");
}

let pool: SandboxPool;

after(async () => {
  // Where a test has failed.
  for (const each of await Sandbox.listPools()) await each.close();
});

test(
  "a sandbox that is taken is warm, and one of its own; another one takes its place",
  { timeout },
  async () => {
    pool = await Sandbox.pool({ name: "workers", config: { ...config, env: { A: "1" } }, size: 2, warm });
    // The one that was warmed is nobody's.
    assert.deepEqual(await Sandbox.list(), []);
    assert.deepEqual(await pool.ready(), { name: "workers", size: 2, wanted: 2, ready: 2, starting: 0 });
    const one = await pool.take({
      name: "one",
      env: { WHO: "me" },
      labels: { kind: "first" },
      maxDurationSecs: 600,
    });
    assert.ok(one.ownsLifecycle);
    assert.equal(one.startReport?.reason, "went on from the copy of a pool");
    assert.equal((await one.shell("echo $A $WHO")).stdout(), "1 me\n");
    assert.deepEqual([one.config.labels, one.config.maxDurationSecs], [{ kind: "first" }, 600]);
    const two = await pool.take();
    assert.match(two.name, /^workers-[0-9a-f]{8}$/);
    const [first, second] = [await identityOf(one), await identityOf(two)];
    assert.deepEqual([first[0], second[0]], ["one", two.name]);
    assert.deepEqual(
      [first.slice(3), second.slice(3)],
      [
        ["warm", "disk", ""],
        ["warm", "disk", ""],
      ],
    );
    for (const field of [1, 2]) assert.notEqual(first[field], second[field]);
    await one.shell("echo changed > /root/note; echo changed > /dev/shm/state; sync");
    assert.deepEqual((await identityOf(two)).slice(3), ["warm", "disk", ""]);
    await pool.ready();
    // They are none of the pool's any more.
    for (const { id } of [one, two])
      assert.ok(membersOf(pool).every(({ directory }) => !directory.endsWith(id)));
    assert.deepEqual((await Sandbox.list()).map(({ name }) => name).sort(), ["one", two.name].sort());
    // From then on it is as any other.
    await one.stop();
    const again = await Sandbox.start("one");
    assert.equal((await again.shell("cat /root/note")).stdout(), "changed\n");
    await again.destroy();
    await two.destroy();
  },
);

test("those that are ready cost no processor time", { timeout }, async () => {
  await pool.ready();
  let pids: number[];
  // Those of sandboxes that were removed take a moment to be gone.
  do {
    await sleep(50);
    pids = (await processesOf(home)).map(({ pid }) => pid);
  } while (pids.length > 4);
  assert.equal(pids.length, 4);
  const sum = (): number => pids.reduce((total, pid) => total + ticks(pid), 0);
  const from = sum();
  await sleep(2000);
  // Of a hundred a second.
  assert.ok(sum() - from <= 2, `${sum() - from} ticks`);
});

test(
  "a name that is taken costs no member, and what is asked for is looked at first",
  { timeout },
  async () => {
    await using other = await pool.take({ name: "other", ephemeral: true });
    const { ready } = await pool.ready();
    await assert.rejects(pool.take({ name: "other" }), SandboxAlreadyExistsError);
    await assert.rejects(pool.take({ name: "a/b" }), InvalidConfigError);
    await assert.rejects(pool.take({ memoryMib: 64 } as object), InvalidConfigError);
    await assert.rejects(pool.take({ env: { MSB_X: "1" } }), InvalidConfigError);
    const reason = new Error("never mind");
    await assert.rejects(pool.take({ signal: AbortSignal.abort(reason) }), reason);
    await assert.rejects(pool.ready({ signal: AbortSignal.abort(reason) }), reason);
    assert.equal((await pool.status()).ready, ready);
    const bind = { ...config, volumes: { "/data": { bind: "/tmp" } } };
    await assert.rejects(Sandbox.pool({ config: bind, size: 1 }), UnsupportedOperationError);
    await assert.rejects(Sandbox.pool({ config, size: 0 }), InvalidConfigError);
    await assert.rejects(Sandbox.pool({ config, size: 1, maxMemory: smallMemory / 2 }), InvalidConfigError);
    await assert.rejects(Sandbox.pool({ name: "workers", config, size: 2, warm }), PoolAlreadyExistsError);
    await assert.rejects(Sandbox.getPool("nobody"), PoolNotFoundError);
    assert.equal((await other.shell("true")).code, 0);
  },
);

test(
  "more takers than there are members, of two programs, all get sandboxes of their own",
  { timeout },
  async (t) => {
    await pool.ready();
    const program = runProgram(
      t,
      `const pool = await Sandbox.getPool("workers");
     const taken = await Promise.all([1, 2].map(() => pool.take({ ephemeral: true })));
     for (const each of taken) say((await each.shell("hostname; cat /dev/shm/state")).stdout().split("\\n"));
     await Promise.all(taken.map((each) => each.kill()));`,
    );
    const taken = await Promise.all([1, 2].map(() => pool.take({ ephemeral: true })));
    const found = await Promise.all(taken.map(identityOf));
    const others = [await program.line(), await program.line()].map((line) => JSON.parse(line) as string[]);
    assert.equal(new Set([...found, ...others].map(([hostname]) => hostname)).size, 4);
    assert.deepEqual(new Set(found.map((each) => each[3])), new Set(["warm"]));
    assert.deepEqual(new Set(others.map((each) => each[1])), new Set(["warm"]));
    assert.equal((await program.ended).code, 0);
    // Root of one guest writes over its disks and its memory, and brings its kernel down: those of others are none of its.
    const [one, two] = taken as [Sandbox, Sandbox];
    const disks = "for disk in /dev/vd*; do dd if=/dev/zero of=$disk bs=1M count=2; done; sync";
    await one.shell(`${disks}; echo harmed > /dev/shm/state; reboot -f`).catch(() => undefined);
    assert.deepEqual((await identityOf(two)).slice(3), ["warm", "disk", ""]);
    await pool.ready();
    await using later = await pool.take({ ephemeral: true });
    assert.deepEqual((await identityOf(later)).slice(3), ["warm", "disk", ""]);
    await Promise.all(taken.map((each) => each.kill()));
  },
);

test(
  "members that are killed are replaced, and a taker that is killed loses nothing",
  { timeout },
  async (t) => {
    await pool.ready();
    const [first] = membersOf(pool);
    assert.ok(first !== undefined);
    const qemu = (await processesOf(home)).filter(({ kind }) => kind === "qemu");
    for (const { pid } of qemu) process.kill(pid, "SIGKILL");
    await eventually("the members to be replaced", async () =>
      (await pool.status()).ready === 2 && !existsSync(first.directory) ? true : null,
    );
    for (const { supervisor } of membersOf(pool)) process.kill(supervisor, "SIGKILL");
    // There is none: it is started now, and so are others.
    await using now = await pool.take({ ephemeral: true });
    assert.equal((await identityOf(now))[3], "warm");
    await pool.ready();
    const program = runProgram(
      t,
      `const pool = await Sandbox.getPool("workers");
     say("taking");
     await pool.take({ name: "lost", ephemeral: true, onStarted: () => process.kill(process.pid, "SIGKILL") });`,
    );
    assert.equal(await program.line(), "taking");
    assert.equal((await program.ended).signal, "SIGKILL");
    await eventually("what it took to end", async () => {
      const names = (await Sandbox.list()).map(({ name }) => name);
      return names.includes("lost") ? null : true;
    });
    assert.equal((await pool.ready()).ready, 2);
  },
);

test(
  "whoever knows a pool that is gone gets nothing of the one that has its name now",
  { timeout },
  async () => {
    const first = await Sandbox.pool({ name: "renewed", config: { ...config, env: { A: "1" } }, size: 1 });
    const known = await Sandbox.getPool("renewed");
    await first.close();
    const second = await Sandbox.pool({
      name: "renewed",
      config: { ...config, env: { A: "2" } },
      size: 1,
    });
    await second.ready();
    await assert.rejects(known.take({ name: "of-nobody" }), PoolNotFoundError);
    assert.deepEqual(await Sandbox.list(), []);
    // A member of another version is of no use to this one: it makes room for one that is.
    const [old] = membersOf(second);
    assert.ok(old !== undefined);
    const id = basename(old.directory);
    const socket = connect(join(home, "run", `${id}.sock`));
    socket.end(`${JSON.stringify({ protocolVersion: PROTOCOL_VERSION + 1, anything: true })}\n`);
    await text(socket);
    await eventually("the member to end", () => Promise.resolve(existsSync(old.directory) ? null : true));
    assert.equal((await second.ready()).ready, 1);
    await using taken = await second.take({ ephemeral: true });
    assert.equal((await taken.shell("echo $A")).stdout(), "2\n");
    await Promise.all((await Sandbox.listPools()).map((each) => each.ready()));
    const { pools } = (await Storage.usage()).kinds;
    // The one of the tests before is there too.
    const { length: count } = await Sandbox.listPools();
    assert.deepEqual([pools.count, pools.active, pools.reclaimableBytes], [count, count, 0]);
    assert.ok(pools.bytes > 1 << 20, String(pools.bytes));
    assert.deepEqual((await Storage.prune()).leftovers.paths, []);
    await second.close();
    // What it goes on with has no name any more, and is there for as long as it runs.
    const { memory } = (await taken.storageUsage()).parts;
    assert.ok(memory.sharedBytes > 1 << 20 && memory.ownBytes === 0, JSON.stringify(memory));
    const { kinds } = await Storage.usage();
    assert.deepEqual([kinds.pools.count, kinds.pools.bytes < pools.bytes], [count - 1, true]);
    assert.ok(kinds.forkMemory.bytes >= memory.sharedBytes);
  },
);

test(
  "what no sandbox can be started from any more is made anew by whoever waits for one, with the same image and patches",
  { timeout },
  async () => {
    const busybox = await busyboxLayer();
    const reference = "test/app:1";
    /** The tag means an image with this in /app from now on. */
    const tag = async (content: string): Promise<void> => {
      const layout = join(home, content);
      await writeLayout(layout, image([busybox, await layer({ app: content })], {}), "1");
      await Image.load(layout, { tag: reference });
    };
    await tag("first");
    const config = Sandbox.builder("unused")
      .image(reference)
      .memory(smallMemory)
      .patch((p) => p.text("/patched", "yes"));
    await using made = await Sandbox.pool({ config, size: 1, warm });
    await made.ready();
    const directory = join(home, "pools", made.name);
    const pointOf = (): string => readdirSync(directory).find((name) => name.startsWith("point-")) ?? "";
    // As when another QEMU was installed.
    const point = pointOf();
    const record = join(directory, point, "suspended.json");
    const text = readFileSync(record, "utf8").replace(
      /"machineKey":"[^"]*"/,
      '"machineKey":"of another QEMU"',
    );
    writeFileSync(record, text);
    const [{ supervisor } = { supervisor: 0 }] = membersOf(made);
    process.kill(supervisor, "SIGKILL");
    await eventually("it to be gone", () => Promise.resolve(existsSync(`/proc/${supervisor}`) ? null : true));
    await tag("second");
    // Another program knows no more of it than its files say.
    const other = await Sandbox.getPool(made.name);
    assert.equal((await other.ready({ signal: AbortSignal.timeout(120_000) })).ready, 1);
    assert.notEqual(pointOf(), point);
    await using taken = await other.take({ ephemeral: true });
    assert.equal((await identityOf(taken))[3], "warm");
    assert.equal((await taken.shell("cat /app /patched")).stdout(), "firstyes");
  },
);

test("msb takes from a pool, lists and removes it; nothing is left", { timeout }, async () => {
  const there = new MsbHome({ path: home });
  const msb = (...args: string[]): Promise<Result> => there.start(args).result;
  const ran = await msb(
    "run",
    "--pool",
    "workers",
    "-e",
    "X=1",
    "--",
    "sh",
    "-c",
    "echo $X; cat /dev/shm/state",
  );
  assert.deepEqual([ran.code, ran.stdout], [0, "1\nwarm\n"], ran.stderr);
  const refused = await msb("run", "--pool", "workers", "-m", "1G", "--", "true");
  assert.match(refused.stderr, /--memory cannot be given/);
  await pool.ready();
  assert.match((await msb("pool", "ls")).stdout, /^workers +2 +2 +0$/m);
  const removed = await msb("pool", "rm", "-q", "workers");
  assert.equal(removed.code, 0, removed.stderr);
  assert.deepEqual(readdirSync(join(home, "pools")), []);
  await processesGone(home);
  assert.deepEqual(readdirSync(join(home, "run")), []);
  await assert.rejects(pool.take(), PoolNotFoundError);
  await pool.close();
});

test("a pool without a name ends with its program, however that ends", { timeout }, async (t) => {
  const source = `
    const pool = await Sandbox.pool({ config: ${JSON.stringify(config)}, size: 1, warm: (s) => s.shell("echo 1 > /dev/shm/n") });
    await pool.ready();
    const taken = await pool.take({ ephemeral: true });
    say((await taken.shell("cat /dev/shm/n")).stdout());
    await taken.kill();
    await pool.ready();
    say("ready");`;
  const killed = runProgram(t, `${source} setInterval(() => undefined, 1000);`);
  assert.equal(await killed.line(), "1");
  assert.equal(await killed.line(), "");
  assert.equal(await killed.line(), "ready");
  killed.kill();
  await processesGone(home);
  await eventually("the pool to be gone", () =>
    Promise.resolve(readdirSync(join(home, "pools")).length === 0 ? true : null),
  );
  const closed = runProgram(t, `${source} await pool.close(); say("closed");`);
  for (const line of ["1", "", "ready", "closed"]) assert.equal(await closed.line(), line);
  assert.equal((await closed.ended).code, 0);
  await processesGone(home);
  assert.deepEqual(readdirSync(join(home, "pools")), []);
});
