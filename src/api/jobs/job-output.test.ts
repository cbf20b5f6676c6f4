import assert from "node:assert/strict";
import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { InvalidCursorError } from "../../errors/index.ts";
import { encodeLogLine, formatLogHeader } from "../../store/log-format.ts";
import { decodeJobCursor, encodeJobCursor } from "./job-cursor.ts";
import { JobOutput } from "./job-output.ts";

const directories: string[] = [];
let path: string;
beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), "job-output-"));
  directories.push(directory);
  path = join(directory, "exec.log");
});
after(() => Promise.all(directories.map((each) => rm(each, { recursive: true }))));

const line = (text: string, offset: number, session = 1): string =>
  encodeLogLine("stdout", Buffer.from(text), session, undefined, offset).toString();

/** Text as it is, gaps as their number. */
async function all(output: JobOutput, upTo = Infinity): Promise<(string | number)[]> {
  const found: (string | number)[] = [];
  for (let some = await output.read(upTo); some.length > 0; some = await output.read(upTo))
    for (const one of some) found.push(one.kind === "gap" ? one.bytes : one.data.toString());
  return found;
}

const begin = { position: 0, printed: 0 };

test("a job's own output is read, and what is missing is counted", async () => {
  await writeFile(
    path,
    formatLogHeader(0) +
      line("abc", 0) +
      line("not its", 0, 2) +
      encodeLogLine("stdout", Buffer.from("no job's"), 1).toString() +
      // Ten bytes could not be written.
      line("def", 13),
  );
  const output = new JobOutput(path, 1, begin);
  assert.deepEqual(await all(output), ["abc", 10, "def"]);
  assert.equal(output.missing(16), null);
  assert.equal(output.missing(20)?.bytes, 4);
  assert.equal(output.missing(20), null);
});

test("it begins in the middle of a piece", async () => {
  await writeFile(path, formatLogHeader(0) + line("abc", 0) + line("def", 3));
  assert.deepEqual(await all(new JobOutput(path, 1, { position: 0, printed: 2 })), ["c", "def"]);
  assert.deepEqual(await all(new JobOutput(path, 1, { position: 0, printed: 3 })), ["def"]);
  assert.deepEqual(await all(new JobOutput(path, 1, { position: 0, printed: 9 })), []);
});

test("it ends where it is told to, goes on from there, and misses what is rotated away meanwhile", async () => {
  const first = formatLogHeader(0) + line("abc", 0);
  await writeFile(path, first + line("def", 3));
  const output = new JobOutput(path, 1, begin);
  assert.deepEqual(await all(output, first.length), ["abc"]);
  assert.deepEqual(output.place, { position: first.length, printed: 3 });
  const length = first.length + line("def", 3).length;
  await rename(path, `${path}.1`);
  const second = formatLogHeader(length) + line("ghi", 6);
  await writeFile(path, second);
  await rm(`${path}.1`);
  assert.deepEqual(await all(output), [3, "ghi"]);
  await appendFile(path, line("jkl", 9).slice(0, 20));
  assert.deepEqual(await all(output), []);
  await appendFile(path, line("jkl", 9).slice(20));
  assert.deepEqual(await all(output), ["jkl"]);
});

test("more than a piece is read in pieces", async () => {
  const text = "x".repeat(50_000);
  await writeFile(
    path,
    formatLogHeader(0) + Array.from({ length: 60 }, (_, n) => line(text, n * text.length)).join(""),
  );
  const output = new JobOutput(path, 1, begin);
  const some = await output.read(Infinity);
  assert.ok(some.length < 30, `${some.length} lines at once`);
  assert.equal(some.length + (await all(output)).length, 60);
});

test("a cursor is of one job", () => {
  const place = { position: 77, printed: 12 };
  assert.deepEqual(decodeJobCursor("a", encodeJobCursor("a", place)), place);
  assert.throws(() => decodeJobCursor("b", encodeJobCursor("a", place)), InvalidCursorError);
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const bad = [{ job: "a", log: -1, out: 0 }, { job: "a", log: 0 }, { job: "a", log: 0, out: "0" }, null];
  for (const cursor of ["", "%", ...bad.map(encode)])
    assert.throws(() => decodeJobCursor("a", cursor), InvalidCursorError);
});
