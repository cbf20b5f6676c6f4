import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { RotatingFile } from "./rotating-file.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-rotating-"));
});
after(() => rm(directory, { recursive: true, force: true }));

const options = { maximumBytes: 100, maximumFiles: 3, header: (base: number) => `base ${base}\n` };

test("rotates a full file, keeps so many, and says in each where it begins", async () => {
  const path = join(directory, "rotated.log");
  const file = await RotatingFile.open(path, options);
  for (let n = 0; n < 50; n++) {
    file.append(Buffer.from(`line ${String(n).padStart(2, "0")}\n`));
    if (n % 7 === 0) await file.flush();
  }
  await file.close();
  const names = (await readdir(directory)).filter((name) => name.startsWith("rotated")).toSorted();
  assert.deepEqual(names, ["rotated.log", "rotated.log.1", "rotated.log.2"]);
  let base: number | null = null;
  let text = "";
  for (const name of names.toReversed()) {
    const content = await readFile(join(directory, name), "utf8");
    const [header = "", ...lines] = content.split("\n");
    const own = Number(/^base (\d+)$/.exec(header)?.[1]);
    if (base !== null) assert.equal(own, base);
    base = own + content.length;
    text += lines.join("\n");
  }
  const all = Array.from({ length: 50 }, (_, n) => `line ${String(n).padStart(2, "0")}\n`).join("");
  assert.ok(text.length > 150 && all.endsWith(text));
});

test("tells who watches when more is in the file, and not any more when he has stopped", async () => {
  const path = join(directory, "watched.log");
  const file = await RotatingFile.open(path, options);
  const seen: string[] = [];
  const ignore = file.watch(() => seen.push(readFileSync(path, "utf8")));
  file.append(Buffer.from("one\n"));
  await file.flush();
  ignore();
  file.append(Buffer.from("two\n"));
  await file.close();
  assert.deepEqual(seen, ["base 0\none\n"]);
});

test("goes on with a file that is there", async () => {
  const path = join(directory, "again.log");
  for (const text of ["one\n", "two\n"]) {
    const file = await RotatingFile.open(path, options);
    file.append(Buffer.from(text));
    await file.close();
  }
  assert.equal(await readFile(path, "utf8"), "base 0\none\ntwo\n");
});

test(
  "a flush waits for what was appended before it, and for nothing else",
  { timeout: 120_000 },
  async () => {
    const path = join(directory, "flushed.log");
    const file = await RotatingFile.open(path, { maximumBytes: 1e9, maximumFiles: 1 });
    const flooding = new AbortController();
    const flood = (async () => {
      while (!flooding.signal.aborted) {
        file.append(Buffer.from("flood\n"));
        await new Promise(setImmediate);
      }
    })();
    for (let n = 0; n < 20; n++) {
      file.append(Buffer.from(`mark ${n}.\n`));
      await file.flush();
      assert.ok((await readFile(path, "utf8")).includes(`mark ${n}.\n`));
    }
    flooding.abort();
    await flood;
    await file.flush();
    assert.equal(file.pendingBytes, 0);
    await file.close();
  },
);

test("a rotation that fails half-way loses no older file, and is made up for", async () => {
  const path = join(directory, "failing");
  let fail = false;
  const header = (base: number): string => {
    if (fail) throw new Error("no space left on the device");
    return `base ${base}\n`;
  };
  const log = await RotatingFile.open(path, { maximumBytes: 100, maximumFiles: 3, header });
  log.append(Buffer.from("a".repeat(100)));
  await log.flush();
  fail = true;
  for (const letter of "bcd") {
    log.append(Buffer.from(letter.repeat(50)));
    await log.flush();
  }
  assert.match(String(log.failure), /no space left/);
  assert.equal(await readFile(`${path}.1`, "utf8"), `base 0\n${"a".repeat(100)}`);
  fail = false;
  log.append(Buffer.from("e".repeat(10)));
  await log.close();
  assert.equal(await readFile(path, "utf8"), `base 107\n${"e".repeat(10)}`);
  assert.equal(await readFile(`${path}.1`, "utf8"), `base 0\n${"a".repeat(100)}`);
});

test("small and large pieces are written in order, and whoever appends is told when their memory is his again", async () => {
  const path = join(directory, "pieces.log");
  const file = await RotatingFile.open(path, { maximumBytes: 1e9, maximumFiles: 1 });
  const expected: Buffer[] = [];
  let done = 0;
  for (let n = 0; n < 60; n++) {
    const bytes = Buffer.alloc(n % 3 === 0 ? 70_000 : n % 20 < 10 ? 7 : 9000, n);
    expected.push(Buffer.from(bytes));
    file.append(bytes, () => {
      bytes.fill(0xff);
      done++;
    });
    if (n % 15 === 0) await file.flush();
  }
  await file.close();
  assert.equal(done, 60);
  assert.ok((await readFile(path)).equals(Buffer.concat(expected)));
});
