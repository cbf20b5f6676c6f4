import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { Sandbox, Snapshot, UnsupportedOperationError, type ExecHandle } from "../../../../src/index.ts";
import { MsbHome } from "../../cli/cli-support.ts";
import { smallMemory, timeout } from "../../lifecycle-support.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";

export const needs: Needs = ["running", "disks"];

// The disks of sandboxes that go on.
const home = useTemporaryHome();
const cli = new MsbHome({ path: home });
const run = promisify(execFile);

async function fromSnapshot(name: string, snapshot: string): Promise<Sandbox> {
  return await Sandbox.builder(name).fromSnapshot(snapshot).memory(smallMemory).create();
}

/** Records, each with its checksum, each on the disk before its number is printed; and a pair of files that agree before and after each. */
const writer = `
  n=0
  while :; do
    n=$((n + 1))
    line="$n $(echo record $n | md5sum)"
    echo "$line" | dd of=/root/records oflag=append conv=notrunc,fsync 2>/dev/null
    echo "$n" | dd of=/root/wal conv=fsync 2>/dev/null
    echo "$line" | dd of=/root/new conv=fsync 2>/dev/null
    mv /root/new /root/data
    echo $n
  done`;

/** Prints how many records there are; fails when one is missing or another one. */
const reader = `
  n=0
  while read -r number sum dash; do
    n=$((n + 1))
    [ "$number" = $n ] && [ "$sum  -" = "$(echo record $n | md5sum)" ] || { echo "record $n: $number $sum"; exit 1; }
  done </root/records
  wal=$(cat /root/wal)
  read -r number sum dash </root/data
  [ "$sum  -" = "$(echo record $number | md5sum)" ] || { echo "data $number: $sum"; exit 1; }
  [ $((n - wal)) -le 1 ] && [ $((wal - number)) -le 1 ] && [ $n -ge $wal ] && [ $wal -ge $number ] || { echo "$n $wal $number"; exit 1; }
  echo $n`;

/** Reads what a writer prints, all the time. */
class Acknowledged {
  last = 0;
  readonly ended: Promise<void>;

  constructor(handle: ExecHandle) {
    // It ends with its sandbox.
    this.ended = this.#read(handle).catch(() => undefined);
  }

  async #read(handle: ExecHandle): Promise<void> {
    for (let event = await handle.recv(); event !== null; event = await handle.recv()) {
      if (event.kind !== "stdout") continue;
      const lines = Buffer.from(event.data).toString().trim().split("\n");
      this.last = Number(lines.at(-1));
    }
  }

  async beyond(number: number): Promise<void> {
    while (this.last <= number) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("of a sandbox that writes all the time", () => {
  let source: Sandbox;
  let acknowledged: Acknowledged;

  before(async () => {
    source = await Sandbox.builder("busy").image("localhost/base").memory(smallMemory).rootDisk(128).create();
    acknowledged = new Acknowledged(await source.execStream("sh", ["-c", writer]));
    await acknowledged.beyond(3);
  });
  after(() => source.kill());

  for (const flush of ["auto", "skip", "required"] as const) {
    test(`nothing that was acknowledged is missing (${flush})`, { timeout }, async () => {
      await source.shell(
        `dd if=/dev/urandom of=/root/cached bs=1k count=300 2>/dev/null; echo in memory > /root/late`,
      );
      const before = acknowledged.last;
      const name = `of-${flush}`;
      const snapshot = await Snapshot.builder(name).fromSandbox(source).guestFlush(flush).create();
      const after = acknowledged.last;
      assert.equal(snapshot.sourceSandbox, "busy");
      // It goes on.
      await acknowledged.beyond(after + 2);
      const disk = join(snapshot.path, "upper.ext4");
      if (flush !== "skip") {
        await run("e2fsck", ["-fn", disk]);
        const { stdout } = await run("dumpe2fs", ["-h", disk]);
        assert.match(stdout, /^Filesystem state: +clean$/m);
        assert.doesNotMatch(stdout, /needs_recovery/);
      }
      await using child = await fromSnapshot(`child-${flush}`, name);
      const read = await child.exec("sh", ["-c", reader]);
      assert.equal(read.code, 0, read.stdout());
      const records = Number(read.stdout());
      assert.ok(records >= before && records <= after + 1, `${before} ≤ ${records} ≤ ${after} + 1`);
      const recovered = (await child.shell("dmesg | grep -c 'recovery complete' || true")).stdout().trim();
      assert.equal(recovered, flush === "skip" ? "1" : "0");
      // What was not even synced.
      if (flush !== "skip") assert.equal((await child.shell("cat /root/late")).stdout(), "in memory\n");
    });
  }
});

test("of one that is paused: as it is, and it stays paused", { timeout }, async () => {
  const source = await Sandbox.builder("held").image("localhost/base").memory(smallMemory).create();
  await source.shell("echo kept > /root/file; sync");
  await source.pause();
  await assert.rejects(
    Snapshot.builder("of-held").fromSandbox("held").guestFlush("required").create(),
    (error) =>
      error instanceof UnsupportedOperationError && /paused/.test(error.message) && error.hint !== "",
  );
  assert.deepEqual(
    readdirSync(join(home, "snapshots")).filter((name) => name.includes("of-held")),
    [],
  );
  for (const flush of ["auto", "skip"] as const)
    await Snapshot.builder("of-held").fromSandbox("held").guestFlush(flush).force().create();
  assert.equal((await Sandbox.get("held")).status, "paused");
  await source.resume();
  assert.equal((await source.shell("cat /root/file")).stdout(), "kept\n");
  await source.stop();
  const required = Snapshot.builder("of-stopped").fromSandbox("held").guestFlush("required");
  await assert.rejects(required.create(), UnsupportedOperationError);
  await using child = await fromSnapshot("of-held-child", "of-held");
  assert.equal((await child.shell("cat /root/file")).stdout(), "kept\n");
});

test("from the command line, two at once", { timeout }, async () => {
  await using source = await Sandbox.builder("cli").image("localhost/base").memory(smallMemory).create();
  await source.shell("echo of the cli > /root/file");
  const [a, b] = await Promise.all([
    cli.msb("snapshot", "create", "one", "--from", "cli", "--guest-flush", "required", "--integrity"),
    cli.msb("snapshot", "create", "two", "--from", "cli"),
  ]);
  assert.equal(a.code, 0, a.stderr);
  assert.equal(b.code, 0, b.stderr);
  assert.equal((await cli.msb("snapshot", "verify", "one")).code, 0);
  assert.equal((await cli.msb("snapshot", "create", "x", "--from", "cli", "--guest-flush", "never")).code, 2);
  const ran = await cli.msb(
    ...["run", "-q", "--memory", `${smallMemory}M`, "--from-snapshot", "two", "--", "cat", "/root/file"],
  );
  assert.equal(ran.stdout, "of the cli\n", ran.stderr);
});
