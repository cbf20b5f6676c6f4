import assert from "node:assert/strict";
import { execFileSync, fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { directory, entry, file, link } from "../../../test/support/tree-support.ts";
import { IoError } from "../../errors/index.ts";
import { partialPrefix } from "./partial-names.ts";
import { TreeWriter } from "./tree-writer.ts";

let base = "";

before(async () => {
  base = await mkdtemp(join(tmpdir(), "tree-faults-"));
});

after(() => rm(base, { recursive: true, force: true }));

function helper(name: string, ...args: string[]): ChildProcess {
  return fork(join(import.meta.dirname, "../../../test/support", name), args, {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

test("whoever swaps directories and links meanwhile leads nothing out", async () => {
  const place = join(base, "raced");
  const victim = join(base, "victim");
  await mkdir(join(place, "d"), { recursive: true });
  await mkdir(victim);
  const racer = helper("swap-directory.ts", join(place, "d"), victim);
  await once(racer, "message");
  let written = 0;
  let refused = 0;
  try {
    for (let round = 0; round < 400; round++) {
      await using writer = await TreeWriter.open(place);
      const files = [1, 2, 3].flatMap((index) => file(`d/e/f${index}`, "evil"));
      await writer.write([...directory("d"), ...directory("d/e"), ...files, ...link("d/e/l", "x")]);
      const result = await writer.finish();
      written += result.files;
      refused += result.refusedCount;
    }
  } finally {
    const exited = once(racer, "exit");
    assert.ok(racer.kill("SIGKILL"), "the racer has ended early");
    await exited;
  }
  assert.deepEqual(await readdir(victim), []);
  // Both have happened: it got in, and it met the link.
  assert.ok(written > 0 && refused > 0, `${written} written, ${refused} refused`);
});

test("after kill -9 files are whole or not there", async () => {
  for (let round = 0; round < 3; round++) {
    const place = join(base, `killed-${round}`);
    await mkdir(place);
    const child = helper("endless-tree.ts", place);
    // It tells of each large file whose first half is written.
    for (let count = 0; count <= round; count++) await once(child, "message");
    child.kill("SIGKILL");
    await once(child, "exit");
    const names = await readdir(place);
    assert.ok(
      names.some((name) => name.startsWith(partialPrefix)),
      "it was not killed in the middle",
    );
    for (const name of names.filter((name) => !name.startsWith(partialPrefix))) {
      const size = name.startsWith("small") ? 5000 : 600_000;
      assert.equal((await readFile(join(place, name))).length, size, name);
    }
  }
});

const mountingSkip =
  process.platform === "linux" && process.getuid?.() === 0 ? false : "mounting a tmpfs takes root";

test("a full disk ends it with a hint, and leaves nothing half", { skip: mountingSkip }, async () => {
  const place = join(base, "full");
  await mkdir(place);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "msb-test", place]);
  try {
    const writer = await TreeWriter.open(place);
    await writer.write([...directory("d"), ...file("d/whole", "w".repeat(100_000))]);
    const bytes = Buffer.alloc(512 * 1024, 1);
    const data = { type: "data", bytes } as const;
    await assert.rejects(
      async () => {
        await writer.write([entry("d/large", "file", { size: 4 * bytes.length }), data, data, data, data]);
        await writer.finish();
      },
      (error) =>
        error instanceof IoError && error.message.includes("d/large") && error.hint.includes("disk is full"),
    );
    await writer.abort();
    assert.deepEqual(await readdir(join(place, "d")), ["whole"]);
    assert.equal((await stat(join(place, "d"))).mode & 0o777, 0o755);
    // Small files are written in the background: the one that fails is told of by the next call.
    await using small = await TreeWriter.open(place);
    await assert.rejects(async () => {
      for (let index = 0; index < 40; index++) await small.write(file(`small-${index}`, "s".repeat(60_000)));
      await small.finish();
    }, IoError);
    await small.abort();
    assert.deepEqual(
      (await readdir(place)).filter((name) => name.startsWith(partialPrefix)),
      [],
    );
  } finally {
    execFileSync("umount", [place]);
  }
});
