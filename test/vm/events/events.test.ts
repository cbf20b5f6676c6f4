import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  InvalidConfigError,
  Sandbox,
  SandboxNotRunningError,
  Snapshot,
  type EventData,
  type ExecHandle,
} from "../../../src/index.ts";
import { msbProgram } from "../cli/cli-support.ts";
import { processOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// What programs in a guest tell the host, and are told, in one sandbox.
const home = useTemporaryHome();

let sandbox: Sandbox;
const stages: string[] = [];
before(async () => {
  sandbox = await Sandbox.builder("events")
    .image("localhost/base")
    .memory(smallMemory)
    .onProgress(({ stage }) => stages.push(stage))
    .create();
});
after(() => sandbox.stop());

/** What a command of msb prints. */
async function msb(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [msbProgram, ...args])).stdout;
}

/** So many events; each without its time. */
async function take(events: AsyncIterator<EventData>, count: number): Promise<object[]> {
  const taken: object[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    const { time: _, ...rest } = next.value;
    taken.push(rest);
  }
  return taken;
}

/** A program in the guest that listens, and is there when it says so. */
async function listener(
  ...names: readonly string[]
): Promise<{ program: ExecHandle; line(): Promise<unknown> }> {
  const program = await sandbox.execStream("msb-emit", ["--listen", ...names]);
  let text = "";
  const line = async (): Promise<unknown> => {
    while (!text.includes("\n")) {
      const event = await program.recv();
      assert.ok(event !== null);
      if (event.kind === "stdout") text += Buffer.from(event.data).toString();
    }
    const end = text.indexOf("\n");
    const first = text.slice(0, end);
    text = text.slice(end + 1);
    return JSON.parse(first);
  };
  assert.deepEqual(await line(), { subscribed: names });
  return { program, line };
}

test("a program tells of events, which come in their order", { timeout }, async () => {
  await using events = sandbox.events({ names: ["first", "second*"] });
  await events.ready;
  const output = await sandbox.shell(
    `msb-emit unheard; msb-emit first; msb-emit second '{"a": [1, "ü\\n"]}'; echo '{"b":\n2}' | msb-emit second:more -`,
  );
  assert.equal(output.stderr(), "");
  assert.deepEqual(await take(events, 3), [
    { event: "first", kind: "guest" },
    { event: "second", kind: "guest", data: { a: [1, "ü\n"] } },
    { event: "second:more", kind: "guest", data: { b: 2 } },
  ]);
});

test("every user of the guest may tell, and nobody what is the host's", { timeout }, async () => {
  await using events = sandbox.events({ names: ["by"] });
  await events.ready;
  const output = await sandbox.execWith("sh", (options) =>
    options
      .user("sandbox")
      .args(["-c", "msb-emit by '\"user\"'; msb-emit lifecycle:stopped; msb-emit by '{'"]),
  );
  assert.equal(
    output.stderr(),
    "msb-emit: names that begin with lifecycle:, network: or files: are the host's\n" +
      "msb-emit: the data is no JSON: a string is missing\n",
  );
  assert.equal(output.code, 1);
  assert.deepEqual(await take(events, 1), [{ event: "by", kind: "guest", data: "user" }]);
});

test("a program is told of events, in order, whatever their size", { timeout }, async () => {
  assert.deepEqual(await sandbox.emit("nobody"), { listeners: 0, missed: 0 });
  const { program, line } = await listener("reload", "big*");
  assert.deepEqual(await sandbox.emit("other"), { listeners: 0, missed: 0 });
  const large = "x".repeat(1_000_000);
  const told = await Promise.all([
    sandbox.emit("reload"),
    sandbox.emit("big:one", { large }),
    sandbox.emit("reload", null),
  ]);
  assert.deepEqual(told, Array(3).fill({ listeners: 1, missed: 0 }));
  const lines = [await line(), await line(), await line()] as {
    event: string;
    data?: unknown;
    time: number;
  }[];
  assert.deepEqual(
    lines.map(({ event, data }) => [event, data]),
    [
      ["reload", undefined],
      ["big:one", { large }],
      ["reload", null],
    ],
  );
  assert.ok(lines.every(({ time }) => Math.abs(time - Date.now()) < timeout));
  await program.kill();
});

test("what no event can be is refused on the host", { timeout }, async () => {
  const circular: { self?: object } = {};
  circular.self = circular;
  for (const [name, data] of [
    ["", 1],
    ["x".repeat(129), 1],
    ["a\nb", 1],
    ["a*", 1],
    ["network:dns", 1],
    ["a", circular],
    ["a", () => 1],
    ["a", "x".repeat(1024 * 1024)],
  ] as const)
    await assert.rejects(sandbox.emit(name, data), InvalidConfigError, name);
  assert.throws(() => sandbox.onEvent("a", "no function" as never), InvalidConfigError);
  await assert.rejects(sandbox.events({ names: [""] }).next(), InvalidConfigError);
  await assert.rejects(sandbox.events({ watch: 3 as never }).next(), InvalidConfigError);
});

test("a function is called with each event until it is closed", { timeout }, async () => {
  const seen: unknown[] = [];
  const two = Promise.withResolvers<void>();
  const subscription = sandbox.onEvent("call", ({ data }) => {
    if (seen.push(data) === 2) two.resolve();
  });
  await subscription.ready;
  await sandbox.shell("msb-emit call 1; msb-emit call 2");
  await two.promise;
  subscription.unsubscribe();
  subscription.close();
  await subscription.ended;
  await sandbox.shell("msb-emit call 3");
  assert.deepEqual(seen, [1, 2]);
  using failing = sandbox.onEvent("fail", () => {
    throw new Error("of the function's own");
  });
  const rejected = assert.rejects(failing.ended, /of the function's own/);
  await failing.ready;
  await sandbox.shell("msb-emit fail");
  await rejected;
  const controller = new AbortController();
  const aborted = sandbox.onEvent("never", () => undefined, { signal: controller.signal });
  await aborted.ready;
  controller.abort(new Error("enough"));
  await aborted.ended;
});

test("an iterator ends with its signal, its time and its loop", { timeout }, async () => {
  const controller = new AbortController();
  const aborted = sandbox.events({ names: "x", signal: controller.signal });
  await aborted.ready;
  const next = aborted.next();
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(next, reason);
  await assert.rejects(sandbox.events({ timeoutMs: 50 }).next(), { code: "operationTimeout" });
  const left = sandbox.events({ names: "x" });
  await left.ready;
  const waiting = left.next();
  left.close();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.deepEqual(await left.next(), { done: true, value: undefined });
});

test(
  "what becomes of the sandbox, its network and its files is told as the host's",
  { timeout },
  async () => {
    await using events = sandbox.events({ names: ["lifecycle:*", "network:*"], watch: "/tmp" });
    await events.ready;
    await sandbox.pause();
    await sandbox.resume();
    await sandbox.shell("nslookup nothing.invalid; echo 1 > /tmp/new-file");
    const wanted = new Set(["lifecycle:paused", "lifecycle:resumed", "network:dns", "files:created"]);
    const kinds = new Map<string, EventData>();
    while (wanted.size > 0) {
      const { value } = await events.next();
      assert.ok(value !== undefined && value.event.startsWith(`${value.kind}:`));
      if (wanted.delete(value.event)) kinds.set(value.event, value);
    }
    assert.deepEqual([...kinds.keys()].slice(0, 2), ["lifecycle:paused", "lifecycle:resumed"]);
    assert.deepEqual(kinds.get("files:created")?.data, { path: "/tmp/new-file", isDirectory: false });
    assert.equal((kinds.get("network:dns")?.data as { name: string }).name, "nothing.invalid");
  },
);

test("the socket stays, whatever happens in /run, and leaves what is there alone", { timeout }, async () => {
  await using events = sandbox.events({ names: "still" });
  await events.ready;
  const output = await sandbox.shell(
    "rm -r /run/*; msb-emit still 1; mount -t tmpfs none /run; msb-emit still 2; umount /run",
  );
  assert.equal(output.code, 0, output.stderr());
  assert.deepEqual(await take(events, 2), [
    { event: "still", kind: "guest", data: 1 },
    { event: "still", kind: "guest", data: 2 },
  ]);
  await sandbox.shell("ln -s /.msb/agent.sock /run/agent.sock");
});

/** A copy of the sandbox, in which a program listens for `word`: it tells its own host, and is told by it. */
async function isOfItsOwn(copy: Sandbox): Promise<void> {
  await using events = copy.events({ names: "mine" });
  await events.ready;
  await copy.shell("msb-emit mine 2");
  assert.deepEqual(await take(events, 1), [{ event: "mine", kind: "guest", data: 2 }]);
  assert.deepEqual(await copy.emit("word", "copy"), { listeners: 1, missed: 0 });
}

/** What a copy is told of, without what differs each time. */
function copied(event: object | undefined): unknown[] {
  const { event: name, data } = event as EventData;
  const { heldMs, ownBytes, ...others } = data as Record<string, unknown>;
  assert.ok(Number(heldMs) > 0 && Number(ownBytes) > 0);
  return [name, others];
}

test("forks and restored ones have a socket of their own, and its listeners go on", { timeout }, async () => {
  const { program, line } = await listener("word");
  await using events = sandbox.events({ names: ["mine", "lifecycle:*"] });
  await events.ready;
  const [child, taken] = await sandbox.forkMany(["events-child", "events"]);
  assert.ok(child?.sandbox !== undefined && taken?.error !== undefined);
  await Snapshot.builder("events-moment").fromSandbox("events").full().create();
  const restored = await Sandbox.restore("events-moment").name("events-restored").restore();
  try {
    await isOfItsOwn(child.sandbox);
    await isOfItsOwn(restored);
    await sandbox.shell("msb-emit mine 1");
    const [forked, snapshot, mine] = await take(events, 3);
    assert.deepEqual(copied(forked), ["lifecycle:forked", { children: ["events-child"] }]);
    assert.deepEqual(copied(snapshot), ["lifecycle:snapshot", { name: "events-moment" }]);
    assert.deepEqual(mine, { event: "mine", kind: "guest", data: 1 });
    // The program that listens is in all of them.
    assert.deepEqual(await sandbox.emit("word", "original"), { listeners: 1, missed: 0 });
    assert.equal(((await line()) as EventData).data, "original");
    await using crash = restored.events({ names: "lifecycle:*" });
    await crash.ready;
    process.kill(await processOf(home, "events-restored", "qemu"), "SIGKILL");
    assert.deepEqual(await take(crash, 9), [{ event: "lifecycle:crashed", kind: "lifecycle" }]);
  } finally {
    await child.sandbox.kill();
    await restored.kill();
  }
  await program.kill();
});

test(
  "one that was taken from a pool has them too, with what its programs listen for",
  { timeout },
  async () => {
    await using pool = await Sandbox.pool({
      config: { image: "localhost/base", memoryMib: smallMemory },
      size: 1,
      warm: "setsid msb-emit --listen word > /tmp/heard 2>&1 & until grep -q subscribed /tmp/heard; do sleep 0.05; done",
    });
    await pool.ready();
    await using taken = await pool.take({ ephemeral: true });
    await isOfItsOwn(taken);
    await taken.shell("until grep -q copy /tmp/heard; do sleep 0.05; done");
  },
);

test("who listens goes on when the sandbox goes back to a checkpoint", { timeout }, async () => {
  const events = sandbox.events({ names: ["back", "lifecycle:*"] });
  await events.ready;
  const checkpoint = await sandbox.checkpoint("before");
  const started = [...stages];
  await sandbox.rollback(checkpoint);
  await sandbox.shell("msb-emit back");
  const names = (await take(events, 5)).map((event) => (event as EventData).event);
  assert.deepEqual(names, [
    "lifecycle:checkpoint",
    "lifecycle:starting",
    "lifecycle:running",
    "lifecycle:rolled-back",
    "back",
  ]);
  assert.deepEqual(stages, started, "whoever watched its start is told nothing of this one");
  events.close();
});

test("msb events and msb emit", { timeout }, async () => {
  const { program, line } = await listener("from-cli");
  const now = { isShown: false };
  const shown = msb("events", "--name", "to-cli", "--count", "1", "events", "--format", "json").finally(
    () => (now.isShown = true),
  );
  const refused = assert.rejects(msb("emit", "events", "x", "no JSON"), /the data is no JSON/);
  const told = await msb("emit", "events", "from-cli", '{"a":1}');
  assert.equal(told, "1 program listens\n");
  assert.deepEqual(((await line()) as EventData).data, { a: 1 });
  await program.kill();
  // Until it listens.
  do await sandbox.exec("msb-emit", ["to-cli", "[7]"]);
  while (!now.isShown);
  const { t: _, ...event } = JSON.parse(await shown) as Record<string, unknown>;
  assert.deepEqual(event, { event: "to-cli", kind: "guest", data: [7] });
  await refused;
});

test("the last word is how it has ended", { timeout }, async () => {
  const suspended = sandbox.events({ names: "lifecycle:*" });
  await suspended.ready;
  await sandbox.suspend();
  assert.deepEqual(await take(suspended, 9), [{ event: "lifecycle:suspended", kind: "lifecycle" }]);
  await assert.rejects(sandbox.events().next(), SandboxNotRunningError);
  await using again = await (await Sandbox.get("events")).start();
  const events = again.events({ names: "lifecycle:*" });
  await events.ready;
  await again.stop();
  assert.deepEqual(await take(events, 9), [
    { event: "lifecycle:draining", kind: "lifecycle" },
    { event: "lifecycle:stopped", kind: "lifecycle" },
  ]);
  await assert.rejects(again.emit("late"), SandboxNotRunningError);
});
