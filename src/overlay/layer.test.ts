import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fields, texts } from "../../test/support/fuse-kernel.ts";
import { OverlayGuest, setattrFlags as valid, settled, snapshot } from "../../test/support/overlay-guest.ts";
import { settleLayer } from "./settle-layer.ts";

function fill(host: string): void {
  mkdirSync(join(host, "dir/deep"), { recursive: true });
  for (const name of ["a", "b", "c", "dir/d", "dir/deep/e"]) writeFileSync(join(host, name), `${name}\n`);
}

async function guestWithFiles(t: TestContext): Promise<OverlayGuest> {
  const guest = new OverlayGuest(t, {}, fill);
  await settled(...["a", "b", "c", "dir/d", "dir/deep/e"].map((name) => join(guest.host, name)));
  return guest;
}

test("changes are what the guest sees otherwise", async (t) => {
  const guest = await guestWithFiles(t);
  assert.deepEqual(await guest.changes(), []);
  guest.append("a", "more");
  guest.kernel.setattr(guest.node("b"), valid.mode, { mode: 0o600 });
  guest.create("new", "x");
  guest.mkdir("made");
  guest.create("made/in", "y");
  guest.unlink("c");
  guest.removeTree("dir/deep");
  // Opened to be written, and touched: neither is a change.
  const node = guest.node("dir/d");
  guest.kernel.release(node, guest.kernel.open(node, 2));
  guest.kernel.setattr(node, valid.mtime | valid.atime);
  const all = ["C a", "C b", "D c", "D dir/deep", "A made", "A made/in", "A new"];
  assert.deepEqual(await guest.changes(), all);
  guest.restart();
  assert.deepEqual(await guest.changes(), all);
  const [first, second] = await guest.found();
  assert.deepEqual([first?.type, first?.size, first?.mode], ["file", 6, 0o644]);
  assert.deepEqual([second?.size, second?.mode], [2, 0o600]);
});

test("one kind of thing in the place of another", async (t) => {
  const guest = await guestWithFiles(t);
  guest.removeTree("dir");
  guest.create("dir", "file");
  guest.unlink("a");
  guest.mkdir("a");
  guest.create("a/in");
  guest.unlink("b");
  guest.symlink("b", "c");
  assert.deepEqual(await guest.changes(), ["C a", "A a/in", "C b", "C dir"]);
  const result = await guest.apply();
  assert.deepEqual([result.refusedCount, result.conflicts], [0, []]);
  assert.deepEqual(await guest.changes(), []);
  assert.equal(readFileSync(join(guest.host, "dir"), "utf8"), "file");
  assert.equal(readlinkSync(join(guest.host, "b")), "c");
  assert.deepEqual(readdirSync(join(guest.host, "a")), ["in"]);
});

test("a directory that was made anew lacks what the old one had", async (t) => {
  const guest = await guestWithFiles(t);
  guest.removeTree("dir");
  guest.mkdir("dir");
  guest.create("dir/d", "other");
  guest.create("dir/f", "new");
  assert.deepEqual(await guest.changes(), ["C dir/d", "D dir/deep", "A dir/f"]);
  await guest.apply(({ path }) => path === "dir/d");
  assert.deepEqual(await guest.changes(), ["D dir/deep", "A dir/f"]);
  await guest.apply();
  assert.deepEqual(await guest.changes(), []);
  assert.deepEqual(readdirSync(join(guest.host, "dir")), ["d", "f"]);
});

test("what the host has changed meanwhile is a conflict, and stays", async (t) => {
  const guest = await guestWithFiles(t);
  guest.append("a", "guest");
  guest.unlink("b");
  guest.unlink("c");
  guest.removeTree("dir/deep");
  guest.create("both", "guest");
  appendFileSync(join(guest.host, "a"), "host");
  appendFileSync(join(guest.host, "b"), "host");
  rmSync(join(guest.host, "c"));
  writeFileSync(join(guest.host, "dir/deep/unseen"), "host");
  writeFileSync(join(guest.host, "both"), "host");
  assert.deepEqual(await guest.changes(), ["C! a", "D! b", "C! both", "D! dir/deep"]);
  const before = snapshot(guest.host);
  const { conflicts } = await guest.apply();
  assert.deepEqual(conflicts, ["a", "b", "both", "dir/deep"]);
  assert.deepEqual(snapshot(guest.host), before);
});

test("the same times, size and name, and yet another file", async (t) => {
  const guest = await guestWithFiles(t);
  guest.write("a", "guest");
  const path = join(guest.host, "a");
  const { atime, mtime } = statSync(path);
  writeFileSync(`${path}.new`, "A\n");
  utimesSync(`${path}.new`, atime, mtime);
  renameSync(`${path}.new`, path);
  assert.deepEqual(await guest.changes(), ["C! a"]);
});

test("what the guest writes without having seen what the host has is a conflict", async (t) => {
  const guest = await guestWithFiles(t);
  for (const name of ["a", "b", "c"]) guest.read(name);
  for (const name of ["a", "b"]) writeFileSync(join(guest.host, name), "by the host\n");
  // An editor puts a new file there.
  writeFileSync(join(guest.host, "new"), "by the host\n");
  renameSync(join(guest.host, "new"), join(guest.host, "c"));
  await settled(...["a", "b", "c"].map((name) => join(guest.host, name)));
  guest.write("a", "by the guest\n");
  guest.write("c", "by the guest\n");
  assert.equal(guest.read("b"), "by the host\n");
  guest.write("b", "by the guest\n");
  assert.deepEqual(await guest.changes(), ["C! a", "C b", "C! c"]);
});

test("a file that the host wrote at this moment may change without a trace", async (t) => {
  const guest = await guestWithFiles(t);
  // Again when so much time has passed meanwhile that it would be seen.
  for (let round = 0; ; round++) {
    const path = join(guest.host, `fresh${round}`);
    writeFileSync(path, "x");
    guest.write(`fresh${round}`, "y");
    if (Date.now() - statSync(path).ctimeMs > 10) continue;
    assert.ok((await guest.changes()).includes(`C! fresh${round}`));
    return;
  }
});

test("the same change on both sides is none", async (t) => {
  const guest = await guestWithFiles(t);
  guest.write("a", "same");
  writeFileSync(join(guest.host, "a"), "same");
  assert.deepEqual(await guest.changes(), []);
});

test("what is applied is the new base, and leaves the layer", async (t) => {
  const guest = await guestWithFiles(t);
  guest.append("a", "more");
  guest.kernel.setattr(guest.node("b"), valid.mode, { mode: 0o6755 });
  guest.mkdir("made");
  guest.kernel.setattr(guest.node("made"), valid.mode, { mode: 0o3555 });
  guest.create("made/in", "y");
  guest.unlink("c");
  const result = await guest.apply();
  assert.deepEqual([result.files, result.directories, result.deleted, result.bytes], [3, 1, 1, 9]);
  assert.equal(readFileSync(join(guest.host, "a"), "utf8"), "a\nmore");
  assert.equal(lstatSync(join(guest.host, "b")).mode & 0o7777, 0o755);
  assert.equal(lstatSync(join(guest.host, "made")).mode & 0o7777, 0o555);
  assert.ok(!existsSync(join(guest.host, "c")));
  assert.deepEqual(await guest.changes(), []);
  assert.equal(guest.read("a"), "a\nmore");
  // It goes on with what it had.
  guest.append("a", "again");
  assert.deepEqual(await guest.changes(), ["C a"]);
  guest.unlink("made/in");
  assert.deepEqual(await guest.changes(), ["C a", "D made/in"]);
  assert.deepEqual(guest.list("made"), []);
  await guest.apply();
  await settleLayer(guest.layer, guest.host);
  guest.restart();
  assert.deepEqual(await guest.changes(), []);
  assert.equal(guest.read("a"), "a\nmoreagain");
  assert.ok(!existsSync(join(guest.layer.files, "a")), "the layer has it no more");
  // And the host's is seen again.
  writeFileSync(join(guest.host, "a"), "host");
  assert.equal(guest.read("a"), "host");
});

test("a file that is chosen comes with the directories it is in", async (t) => {
  const guest = await guestWithFiles(t);
  guest.mkdir("x");
  guest.mkdir("x/y");
  guest.create("x/y/z", "z");
  guest.create("x/other", "o");
  await guest.apply(({ path }) => path === "x/y/z");
  assert.deepEqual(readdirSync(join(guest.host, "x"), { recursive: true }).sort(), ["y", "y/z"]);
  assert.deepEqual(await guest.changes(), ["A x/other"]);
});

test("devices, pipes and sockets are refused by name, and all else is written", async (t) => {
  const guest = await guestWithFiles(t);
  for (const [name, mode] of [
    ["device", 0o020600],
    ["pipe", 0o010644],
    ["socket", 0o140644],
  ] as const) {
    guest.kernel.must(
      "mknod",
      1,
      Buffer.concat([fields([32, mode], [32, 0x103], [32, 0], [32, 0]), texts(name)]),
    );
  }
  guest.create("file", "x");
  const { refused } = await guest.apply();
  assert.deepEqual(
    refused.map(({ path, reason }) => [Buffer.from(path).toString(), reason]),
    [
      ["device", "special"],
      ["pipe", "special"],
      ["socket", "special"],
    ],
  );
  assert.deepEqual(readdirSync(guest.host).sort(), ["a", "b", "c", "dir", "file"]);
});

interface Meanwhile {
  /** The change that was looked at and is about to be written. */
  readonly path: string;
  readonly act: (guest: OverlayGuest, outside: string) => void;
  /** What must be on the host still, and what it says. */
  readonly kept: readonly [path: string, text: string] | null;
}

/** What somebody does on the host, or in the layer, between the look at a change and its writing. */
const meanwhile: Record<string, Meanwhile> = {
  "edits a file that the guest has changed": {
    path: "a",
    act: ({ host }) => appendFileSync(join(host, "a"), "host"),
    kept: ["a", "a\nhost"],
  },
  "makes a file where the guest adds one": {
    path: "added",
    act: ({ host }) => writeFileSync(join(host, "added"), "host"),
    kept: ["added", "host"],
  },
  "edits a file that the guest has deleted": {
    path: "c",
    act: ({ host }) => appendFileSync(join(host, "c"), "host"),
    kept: ["c", "c\nhost"],
  },
  "adds a file to a directory that the guest has deleted": {
    path: "dir/deep",
    act: ({ host }) => writeFileSync(join(host, "dir/deep/unseen"), "host"),
    kept: ["dir/deep/unseen", "host"],
  },
  "puts a link where the guest has made a directory": {
    path: "made",
    act: ({ host }, outside) => symlinkSync(outside, join(host, "made")),
    kept: ["made/secret", "secret"],
  },
  "puts a link where the layer has a file": {
    path: "a",
    act: ({ layer }, outside) => {
      rmSync(join(layer.files, "a"));
      symlinkSync(join(outside, "secret"), join(layer.files, "a"));
    },
    kept: null,
  },
};

for (const [what, { path, act, kept }] of Object.entries(meanwhile)) {
  test(`where somebody ${what}, nothing is lost and nothing leads out`, async (t) => {
    const guest = await guestWithFiles(t);
    const outside = join(guest.host, "..", "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "secret"), "secret");
    await settled(...["a", "c", "dir/deep/e"].map((name) => join(guest.host, name)));
    guest.append("a", "guest");
    guest.create("added", "guest");
    guest.unlink("c");
    guest.removeTree("dir/deep");
    guest.mkdir("made");
    guest.create("made/secret", "guest");
    assert.deepEqual(await guest.changes(), [
      "C a",
      "A added",
      "D c",
      "D dir/deep",
      "A made",
      "A made/secret",
    ]);
    const before = snapshot(outside);
    let acted = 0;
    const outcome = await guest
      .apply((change) => {
        if (change.path === path && acted++ === 0) act(guest, outside);
        return true;
      })
      .catch((error: unknown) => error as Error);
    assert.ok(acted > 0);
    assert.deepEqual(snapshot(outside), before);
    if (kept === null) {
      assert.notEqual(readFileSync(join(guest.host, path), "utf8"), "secret");
      return;
    }
    assert.equal(readFileSync(join(guest.host, kept[0]), "utf8"), kept[1]);
    if (outcome instanceof Error) throw outcome;
    assert.deepEqual(outcome.conflicts, [path]);
  });
}

test("links lead nowhere, on either side", async (t) => {
  const guest = await guestWithFiles(t);
  const outside = join(guest.host, "..", "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "secret");
  guest.append("dir/d", "more");
  guest.create("dir/new", "x");
  guest.unlink("dir/deep/e");
  guest.symlink("out", outside);
  guest.symlink("secret", join(outside, "secret"));
  // The host's directory has become a link.
  renameSync(join(guest.host, "dir"), join(guest.host, "moved"));
  symlinkSync(outside, join(guest.host, "dir"));
  const before = snapshot(outside);
  const { conflicts } = await guest.apply();
  assert.deepEqual(snapshot(outside), before);
  assert.ok(conflicts.includes("dir"));
  assert.equal(readlinkSync(join(guest.host, "secret")), join(outside, "secret"));
  assert.equal(readlinkSync(join(guest.host, "dir")), outside);
});

test("what is discarded is seen as the host has it", async (t) => {
  const guest = await guestWithFiles(t);
  guest.append("a", "more");
  guest.kernel.setattr(guest.node("dir"), valid.mode, { mode: 0o700 });
  guest.unlink("b");
  guest.removeTree("dir/deep");
  guest.mkdir("dir/deep");
  guest.create("dir/deep/e", "other");
  guest.create("dir/deep/f", "new");
  const before = snapshot(guest.host);
  assert.equal(await guest.discard(({ path }) => ["b", "dir", "dir/deep/e"].includes(path)), 3);
  guest.restart();
  assert.deepEqual(await guest.changes(), ["C a", "A dir/deep/f"]);
  assert.equal(guest.read("b"), "b\n");
  assert.equal(guest.read("dir/deep/e"), "dir/deep/e\n");
  assert.equal(guest.kernel.attributes(guest.node("dir")).mode & 0o777, 0o755);
  assert.equal(await guest.discard(), 2);
  guest.restart();
  assert.deepEqual(await guest.changes(), []);
  assert.deepEqual(guest.list("dir/deep"), ["e"]);
  assert.deepEqual(snapshot(guest.host), before);
});

test("of a directory that was made anew, one deleted file comes back alone", async (t) => {
  const guest = await guestWithFiles(t);
  guest.removeTree("dir");
  guest.mkdir("dir");
  assert.deepEqual(await guest.changes(), ["D dir/d", "D dir/deep"]);
  await guest.discard(({ path }) => path === "dir/d");
  guest.restart();
  assert.deepEqual(guest.list("dir"), ["d"]);
  assert.deepEqual(await guest.changes(), ["D dir/deep"]);
});

test("only what is below a path is looked at, until a signal", async (t) => {
  const guest = await guestWithFiles(t);
  for (const path of ["a", "dir/d", "dir/deep/e"]) guest.append(path, "more");
  guest.create("dirs");
  assert.deepEqual(await guest.changes("dir"), ["C dir/d", "C dir/deep/e"]);
  assert.deepEqual(await guest.changes("dir/deep/e"), ["C dir/deep/e"]);
  await assert.rejects(guest.found("dir", AbortSignal.abort()), { name: "AbortError" });
});
