import assert from "node:assert/strict";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { IoError } from "../../errors/index.ts";
import { extentsVirtualSize, packExtents, unpackExtents } from "./extents.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "extents-"));
});
after(async () => {
  await rm(directory, { recursive: true, force: true });
});

const path = (name: string): string => join(directory, name);

/** Data at both ends, two neighbouring blocks across a chunk border, a block of which one byte is set. */
async function sparseFile(name: string, size: number): Promise<Buffer> {
  const image = Buffer.alloc(size);
  image.fill("first", 0, 4096);
  image.fill("pair", 1024 * 1024 - 4096, 1024 * 1024 + 4096);
  image[3 * 1024 * 1024 + 4095] = 1;
  image.fill("last", size - 4096, size);
  const file = await open(path(name), "w");
  await file.writeFile(image);
  await file.close();
  return image;
}

test("a sparse file comes back byte for byte, and as sparse", async () => {
  const image = await sparseFile("disk", 8 * 1024 * 1024);
  const kept = await packExtents(path("disk"), path("packed"));
  assert.equal(kept, 5 * 4096);
  assert.equal(await extentsVirtualSize(path("packed")), image.length);
  const header = (await readFile(path("packed"))).toString("latin1").split("\n", 1)[0] ?? "";
  assert.deepEqual(JSON.parse(header), {
    version: 1,
    virtualSize: image.length,
    extents: [
      [0, 4096],
      [1024 * 1024 - 4096, 8192],
      [3 * 1024 * 1024, 4096],
      [image.length - 4096, 4096],
    ],
  });
  await unpackExtents(path("packed"), path("copy"));
  assert.ok(image.equals(await readFile(path("copy"))));
  const { blocks, mode } = await stat(path("copy"));
  assert.ok(blocks * 512 < 256 * 1024, `takes ${blocks * 512} bytes on disk`);
  assert.equal(mode & 0o777, 0o600);
});

test("a file of zeros keeps no data", async () => {
  await writeFile(path("zeros"), Buffer.alloc(2 * 4096));
  assert.equal(await packExtents(path("zeros"), path("zeros.packed")), 0);
  await unpackExtents(path("zeros.packed"), path("zeros.copy"));
  assert.ok((await readFile(path("zeros.copy"))).equals(Buffer.alloc(2 * 4096)));
});

test("an existing target is left alone", async () => {
  await sparseFile("disk2", 8 * 1024 * 1024);
  await packExtents(path("disk2"), path("packed2"));
  await writeFile(path("taken"), "mine");
  await assert.rejects(unpackExtents(path("packed2"), path("taken")), IoError);
  assert.equal(await readFile(path("taken"), "utf8"), "mine");
});

test("damaged files are refused and leave nothing behind", async () => {
  const header = (value: unknown): string => `${JSON.stringify(value)}\n`;
  const cases: Record<string, string> = {
    empty: "",
    "not json": "hello\n",
    "no newline": "{}",
    version: header({ version: 2, virtualSize: 4096, extents: [] }),
    unaligned: header({ version: 1, virtualSize: 4096, extents: [[1, 4096]] }) + "x".repeat(4096),
    outside: header({ version: 1, virtualSize: 4096, extents: [[4096, 4096]] }) + "x".repeat(4096),
    overlap: header({
      version: 1,
      virtualSize: 8192,
      extents: [
        [4096, 4096],
        [4096, 4096],
      ],
    }).concat("x".repeat(8192)),
    "cut short": header({ version: 1, virtualSize: 8192, extents: [[0, 8192]] }) + "x".repeat(4096),
    "too long": header({ version: 1, virtualSize: 8192, extents: [[0, 4096]] }) + "x".repeat(4097),
  };
  for (const [name, content] of Object.entries(cases)) {
    await writeFile(path("damaged"), content);
    await assert.rejects(unpackExtents(path("damaged"), path("none")), IoError, name);
    await assert.rejects(stat(path("none")), { code: "ENOENT" }, name);
  }
});
