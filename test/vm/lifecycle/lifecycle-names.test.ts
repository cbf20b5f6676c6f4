import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BootStartError,
  InvalidConfigError,
  InvalidCursorError,
  Sandbox,
  SandboxNotFoundError,
  type SandboxHandle,
} from "../../../src/index.ts";
import { builderSource, processesOf, runProgram, smallMemory, timeout } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// Lists, labels, pages, and one sandbox in place of another.
const home = useTemporaryHome();

/** A sandbox on disk that never ran: its boot is given no time. */
async function createUnbooted(name: string, labels: Record<string, string>): Promise<void> {
  process.env["MSB_BOOT_TIMEOUT_MS"] = "1";
  try {
    const create = Sandbox.create({ name, image: "localhost/base", memoryMib: smallMemory, labels });
    await assert.rejects(create, BootStartError);
  } finally {
    delete process.env["MSB_BOOT_TIMEOUT_MS"];
  }
}

/** Waits until there is one supervisor and one QEMU. The ones before may take a moment to leave. */
async function twoProcesses(name: string): Promise<void> {
  await eventually(`two processes of ${name}`, async () => {
    const kinds = (await processesOf(home, name)).map(({ kind }) => kind).sort();
    return kinds.join() === "qemu,supervisor" ? true : null;
  });
}

const names = (handles: Iterable<SandboxHandle>): string[] => [...handles].map(({ name }) => name);

test("lists: the newest first, by labels, page by page", { timeout }, async () => {
  assert.deepEqual([...(await Sandbox.list())], []);
  assert.deepEqual(await Sandbox.listWith((list) => list), { sandboxes: [] });
  for (let n = 1; n <= 5; n++) {
    await createUnbooted(`list-${n}`, { parity: n % 2 === 0 ? "even" : "odd", all: "yes" });
  }
  const all = ["list-5", "list-4", "list-3", "list-2", "list-1"];
  const listed = await Sandbox.list();
  assert.deepEqual(names(listed), all);
  assert.deepEqual(names(listed.sandboxes), all);
  assert.deepEqual(new Set(listed.map(({ status }) => status)), new Set(["stopped"]));

  const odd = await Sandbox.listWith((list) => list.label("parity", "odd"));
  assert.deepEqual(names(odd.sandboxes), ["list-5", "list-3", "list-1"]);
  assert.equal("nextCursor" in odd, false);
  const none = await Sandbox.listWith((list) => list.labels({ parity: "odd", all: "no" }));
  assert.deepEqual(none, { sandboxes: [] });

  const first = await Sandbox.listWith((list) => list.labels({ parity: "odd", all: "yes" }).limit(2));
  assert.deepEqual(names(first.sandboxes), ["list-5", "list-3"]);
  const cursor = first.nextCursor ?? "";
  assert.match(cursor, /^[A-Za-z0-9_-]+$/);
  const second = await Sandbox.listWith((list) => list.label("parity", "odd").limit(2).cursor(cursor));
  assert.deepEqual(names(second.sandboxes), ["list-1"]);
  assert.equal("nextCursor" in second, false);

  // What is removed or created between two pages moves nothing else.
  await Sandbox.remove("list-3");
  await createUnbooted("list-6", { parity: "odd" });
  const again = await Sandbox.listWith((list) => list.label("parity", "odd").limit(2).cursor(cursor));
  assert.deepEqual(names(again.sandboxes), ["list-1"]);

  const seen: string[] = [];
  for (let next: string | undefined = ""; next !== undefined;) {
    const at: string = next;
    const page = await Sandbox.listWith((list) => (at === "" ? list : list.cursor(at)).limit(1));
    seen.push(...names(page.sandboxes));
    next = page.nextCursor;
  }
  assert.deepEqual(seen, ["list-6", "list-5", "list-4", "list-2", "list-1"]);
});

test("lists refuse what makes no sense", { timeout }, async () => {
  for (const limit of [0, 101, 1.5, Number.NaN, -1]) {
    await assert.rejects(
      Sandbox.listWith((list) => list.limit(limit)),
      InvalidConfigError,
      String(limit),
    );
  }
  const foreign = [Buffer.from("[1,2]"), Buffer.from("{}"), Buffer.from('["a"]'), Buffer.from("nonsense")];
  for (const cursor of ["", "%%%", ...foreign.map((bytes) => bytes.toString("base64url"))]) {
    await assert.rejects(
      Sandbox.listWith((list) => list.cursor(cursor)),
      InvalidCursorError,
      cursor,
    );
  }
});

test("replace: the old one goes when the new one is valid, not before", { timeout }, async () => {
  const build = () => Sandbox.builder("place").image("localhost/base").memory(smallMemory);
  // Nothing to replace: created.
  const first = await build().replace().create();
  await first.shell("echo first > /root/file");
  const connected = await (await Sandbox.get("place")).connect();

  await assert.rejects(build().cpus(0).replace().create(), InvalidConfigError);
  await assert.rejects(build().maxCpus(2).replace().create(), {
    name: "UnsupportedOperationError",
    message: /maxCpus/,
  });
  await assert.rejects(build().libkrunfwPath("/nonexistent").replace().create(), {
    name: "LibkrunfwNotFoundError",
  });
  await assert.rejects(build().image("alpine").pullPolicy("never").replace().create(), {
    name: "ImageError",
  });
  assert.equal((await first.exec("cat", ["/root/file"])).stdout(), "first\n");

  const second = await build().label("turn", "second").replace().create();
  assert.notEqual(second.id, first.id);
  assert.equal((await second.shell("cat /root/file")).code, 1);
  await assert.rejects(first.exec("true"), { name: "SandboxReplacedError" });
  await assert.rejects(connected.exec("true"), { name: "SandboxReplacedError" });
  await twoProcesses("place");

  // A program that does not heed SIGTERM is given the time that was set, and no more.
  await second.execStream("sh", ["-c", "trap '' TERM; while :; do sleep 1; done"]);
  const third = await build().replaceWithTimeout(0).create();
  assert.notEqual(third.id, second.id);
  await third.stop();

  // What does not run is replaced as well.
  const fourth = await build().replace().create();
  assert.notEqual(fourth.id, third.id);
  await fourth.destroy();
  await assert.rejects(Sandbox.get("place"), SandboxNotFoundError);
});

test(
  "programs that replace the same sandbox at once leave one, and each is told what became of its own",
  { timeout },
  async (t) => {
    const source = `
    await ${builderSource("contested")}.replace().createDetached()
      .then((sandbox) => say("created " + sandbox.id), (error) => say(error.name + " " + error.message));`;
    const programs = [1, 2, 3].map(() => runProgram(t, source));
    const lines = await Promise.all(programs.map((program) => program.line()));
    const left = await Sandbox.get("contested");
    assert.equal(left.status, "running", lines.join("; "));
    assert.ok(lines.includes(`created ${left.id}`), lines.join("; "));
    // The others were first and were replaced, stopped on their way, or came to a name that was taken again.
    const known =
      /^(created [0-9a-f]{16}|CustomError .*(stopped|killed) while it started|SandboxAlreadyExistsError .*)$/;
    for (const line of lines) assert.match(line, known);
    await twoProcesses("contested");
    await left.destroy({ force: true });
  },
);
