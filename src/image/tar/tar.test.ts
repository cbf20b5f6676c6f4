/** Archives made by GNU tar in all its formats. */
import assert from "node:assert/strict";
import { mkdir, open, readFile, symlink, writeFile, link } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { imported, run, workDirectory } from "../../../test/support/image-support.ts";

const deep = `${"d".repeat(90)}/${"e".repeat(90)}/${"f".repeat(90)}`;

/** A tree that says something in every format; names longer than 256 bytes only where the format has them. */
async function makeTree(root: string, hasLongNames: boolean): Promise<void> {
  await mkdir(join(root, "short"), { recursive: true });
  await writeFile(join(root, "short/file"), "content");
  await writeFile(join(root, "short/\u00fcml\u00e4ut"), "u");
  await link(join(root, "short/file"), join(root, "short/hard"));
  await symlink("file", join(root, "short/link"));
  await writeFile(join(root, "n".repeat(97)), "97");
  if (!hasLongNames) return;
  await mkdir(join(root, deep), { recursive: true });
  await writeFile(join(root, deep, "file"), "deep");
  await symlink("t".repeat(200), join(root, "longlink"));
  await link(join(root, deep, "file"), join(root, deep, "hard"));
}

for (const format of ["v7", "ustar", "oldgnu", "gnu", "posix"]) {
  test(`GNU tar's format ${format}`, async () => {
    await using work = await workDirectory();
    const root = join(work.path, "root");
    const hasLongNames = !["v7", "ustar"].includes(format);
    await makeTree(root, hasLongNames);
    const tar = join(work.path, "tar");
    await run("tar", [
      `--format=${format}`,
      "--owner=a:12",
      "--group=b:34",
      "--mtime=2020-01-02 03:04:05Z",
      "-C",
      root,
      "-cf",
      tar,
      ".",
    ]);
    const found = await imported(await readFile(tar));
    const hard = found.get("short/hard");
    assert.deepEqual([hard?.content, hard?.links, hard?.uid, hard?.gid], ["content", 2, 12, 34]);
    assert.equal(hard?.seconds, Date.parse("2020-01-02T03:04:05Z") / 1000);
    assert.equal(found.get("short/link")?.content, "file");
    assert.equal(found.get(Buffer.from("short/\u00fcml\u00e4ut").toString("latin1"))?.content, "u");
    assert.equal(found.get("n".repeat(97))?.content, "97");
    assert.equal(found.get(`${deep}/hard`)?.content, hasLongNames ? "deep" : undefined);
    assert.equal(found.get("longlink")?.content, hasLongNames ? "t".repeat(200) : undefined);
    assert.equal(found.size, hasLongNames ? 13 : 7);
  });
}

test("an archive without zero blocks and padding at its end, as umoci writes them", async () => {
  await using work = await workDirectory();
  await writeFile(join(work.path, "file"), "hi");
  await run("tar", ["--format=ustar", "-C", work.path, "-cf", join(work.path, "tar"), "file"]);
  const whole = await readFile(join(work.path, "tar"));
  const found = await imported(whole.subarray(0, 512 + "hi".length));
  assert.equal(found.get("file")?.content, "hi");
});

const sparseFormats: readonly (readonly string[])[] = [
  ["--format=gnu"],
  ["--format=oldgnu"],
  ["--format=posix", "--sparse-version=0.0"],
  ["--format=posix", "--sparse-version=0.1"],
  ["--format=posix", "--sparse-version=1.0"],
];

for (const options of sparseFormats) {
  test(`sparse files with ${options.join(" ")}`, async () => {
    await using work = await workDirectory();
    // 40 pieces: more than the header and one further block of the old format hold.
    const pieces = Array.from({ length: 40 }, (_, index) => ({
      at: index * 300_000 + 4096 * 3,
      text: `piece ${index};`,
    }));
    await sparseFile(join(work.path, "holes"), pieces, 12_345_678);
    await sparseFile(join(work.path, "empty"), [], 1_000_000);
    await writeFile(join(work.path, "after"), "after");
    const tar = join(work.path, "tar");
    await run("tar", [...options, "-S", "-C", work.path, "-cf", tar, "holes", "empty", "after"]);
    const bytes = await readFile(tar);
    assert.ok(bytes.length < 2_000_000, "tar kept the holes");
    const found = await imported(bytes);
    assert.equal(found.get("holes")?.content, await readFile(join(work.path, "holes"), "latin1"));
    assert.equal(found.get("empty")?.content, "\0".repeat(1_000_000));
    assert.equal(found.get("after")?.content, "after");
    assert.deepEqual([...found.keys()].sort(), ["", "after", "empty", "holes"]);
  });
}

test("a file of 1 TiB with holes takes little of the image", async () => {
  await using work = await workDirectory();
  const size = 2 ** 40 + 1;
  await sparseFile(join(work.path, "huge"), [{ at: 2 ** 39, text: "middle" }], size);
  const tar = join(work.path, "tar");
  await run("tar", ["--format=posix", "-S", "-C", work.path, "-cf", tar, "huge"]);
  const bytes = await readFile(tar);
  const found = await imported(bytes, Buffer.alloc(1024));
  assert.equal(found.get("huge")?.size, size);
});

async function sparseFile(
  path: string,
  pieces: readonly { readonly at: number; readonly text: string }[],
  size: number,
): Promise<void> {
  await using file = await open(path, "w");
  for (const { at, text } of pieces) await file.write(text, at);
  await file.truncate(size);
}
