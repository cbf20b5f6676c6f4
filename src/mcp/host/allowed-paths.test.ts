import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ToolError } from "../call/tool-failure.ts";
import { AllowedPaths } from "./allowed-paths.ts";

const place = realpathSync(mkdtempSync(join(tmpdir(), "msb-allowed-")));
const root = join(place, "allowed");
const outside = join(place, "outside");
const state = join(place, "state");
for (const directory of [join(root, "sub"), outside, state]) mkdirSync(directory, { recursive: true });
writeFileSync(join(root, "file"), "inside");
writeFileSync(join(outside, "secret"), "secret");
after(() => {
  rmSync(place, { recursive: true, force: true });
});

const paths = new AllowedPaths([root], state);

async function denied(work: () => Promise<unknown>, what: string): Promise<void> {
  await assert.rejects(
    work(),
    (error) => {
      assert.ok(error instanceof ToolError, `${what}: ${String(error)}`);
      assert.equal(error.failure.code, "host_path_denied", what);
      assert.notEqual(error.failure.hint, "", what);
      return true;
    },
    what,
  );
}

test("what is below the directory is allowed, and so is what is not there yet", async () => {
  assert.equal((await paths.check("file")).real, join(root, "file"));
  assert.equal((await paths.check(join(root, "sub"))).real, join(root, "sub"));
  assert.equal((await paths.check("sub/new")).real, join(root, "sub/new"));
  assert.equal((await paths.check("sub/../file")).real, join(root, "file"));
  assert.equal((await paths.check(root)).real, root);
});

test("neither .. nor a link nor a name that begins the same leads out", async () => {
  symlinkSync(outside, join(root, "link-out"));
  symlinkSync(join(outside, "not-there"), join(root, "link-to-new"));
  mkdirSync(`${root}-sibling`);
  for (const path of [
    "..",
    "../outside/secret",
    "sub/../../outside/secret",
    "/etc/passwd",
    join(outside, "secret"),
    `${root}-sibling`,
    "link-out",
    "link-out/secret",
    "link-out/new",
    "link-to-new",
    "missing/new",
    "missing/../../outside/secret",
    "",
    "a\0b",
  ])
    for (const work of [
      () => paths.check(path),
      () => paths.source(path),
      () => paths.target(path, "x", true, () => assert.fail("it was written")),
    ])
      await denied(work, JSON.stringify(path));
});

test("a link that stays inside is followed", async () => {
  symlinkSync("sub", join(root, "link-in"));
  symlinkSync(join(root, "file"), join(root, "link-file"));
  assert.equal((await paths.check("link-in/new")).real, join(root, "sub/new"));
  await using source = await paths.source("link-file");
  assert.equal(await readFile(source.path, "utf8"), "inside");
});

test("the state directory is nobody's, nor is what it lies in", async () => {
  const whole = new AllowedPaths([place], state);
  for (const path of [state, join(state, "config.json"), place]) await denied(() => whole.check(path), path);
  assert.equal((await whole.check(outside)).real, outside);
});

test("without a directory nothing is allowed", async () => {
  const none = new AllowedPaths([], state);
  await denied(() => none.check("/"), "/");
  await denied(() => none.check("file"), "file");
});

test("a path that was allowed is denied when a link has come there", async () => {
  const shared = join(root, "shared");
  mkdirSync(shared);
  const { real } = await paths.check("shared");
  await paths.checkSame(real);
  rmSync(shared, { recursive: true });
  symlinkSync(join(root, "sub"), shared);
  await denied(() => paths.checkSame(real), "a link inside");
  rmSync(shared);
  symlinkSync(outside, shared);
  await denied(() => paths.checkSame(real), "a link that leads out");
});

test("what is made appears whole, under its name, into a directory, or over a file when that is asked for", async () => {
  const write = (text: string) => (path: string) => writeFile(path, text);
  assert.equal(await paths.target("made", "x", false, write("one")), join(root, "made"));
  assert.equal(readFileSync(join(root, "made"), "utf8"), "one");
  assert.equal(await paths.target("sub", "x", false, write("two")), join(root, "sub/x"));
  assert.equal(readFileSync(join(root, "sub/x"), "utf8"), "two");
  await assert.rejects(
    paths.target("made", "x", false, write("three")),
    (error) => error instanceof ToolError && error.failure.code === "operation_failed",
  );
  await paths.target("made", "x", true, write("three"));
  assert.equal(readFileSync(join(root, "made"), "utf8"), "three");
  await assert.rejects(
    paths.target("other", "x", false, async (path) => {
      await writeFile(path, "half");
      throw new Error("gone wrong");
    }),
    /gone wrong/,
  );
  assert.deepEqual(
    readdirSync(root).filter((name) => name === "other" || name.startsWith(".msb")),
    [],
  );
});

test("a link that is put where something is made is replaced, and not written through", async () => {
  const victim = join(outside, "victim");
  writeFileSync(victim, "untouched");
  await paths.target("raced", "x", true, async (path) => {
    symlinkSync(victim, join(root, "raced"));
    await writeFile(path, "guest's");
  });
  assert.equal(readFileSync(victim, "utf8"), "untouched");
  assert.ok(lstatSync(join(root, "raced")).isFile());
  for (const name of ["..", ".", "a/b", ""])
    await denied(() => paths.target("sub", name, true, () => assert.fail("it was written")), name);
});

test("who swaps a directory for a link again and again leads nobody out", async () => {
  const swapped = join(root, "swapped");
  mkdirSync(swapped);
  writeFileSync(join(swapped, "secret"), "inside");
  const swapper = fork(join(import.meta.dirname, "../../../test/support/swap-directory.ts"), [
    swapped,
    outside,
  ]);
  try {
    await once(swapper, "message");
    let read = 0;
    let refused = 0;
    for (let round = 0; round < 100_000 && (read < 100 || refused < 100); round++) {
      try {
        await using source = await paths.source("swapped/secret");
        assert.equal(await readFile(source.path, "utf8"), "inside");
        read++;
        await paths.target("swapped/written", "x", true, (path) => writeFile(path, "guest's"));
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        refused++;
      }
    }
    assert.ok(read > 0 && refused > 0, `both happened: ${read}, ${refused}`);
  } finally {
    swapper.kill("SIGKILL");
    await once(swapper, "exit");
  }
  assert.deepEqual(readdirSync(outside).toSorted(), ["secret", "victim"]);
  assert.ok(!existsSync(join(outside, "written")));
});
