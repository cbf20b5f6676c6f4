import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { jobRecord } from "../../../test/support/job-record.ts";
import { IoError } from "../../errors/index.ts";
import { readJobRecords } from "../../store/jobs/job-record.ts";
import { JobBook, mostEnded } from "./job-book.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "job-book-"));
});
after(() => rm(directory, { recursive: true, force: true }));

const quiet = (): void => undefined;

test("what is put is on the disk when that is said, and there again", async () => {
  const path = join(directory, "jobs.json");
  const book = await JobBook.open(path, quiet);
  book.put(jobRecord("a"));
  book.put(jobRecord("b"));
  await book.saved();
  assert.deepEqual(await readJobRecords(path), [jobRecord("a"), jobRecord("b")]);
  book.put(jobRecord("a", { state: "exited", code: 0 }));
  await book.close();
  const again = await JobBook.open(path, quiet);
  assert.equal(again.get("a")?.state, "exited");
  assert.deepEqual(
    [...again.records].map(({ id }) => id),
    ["a", "b"],
  );
});

test("of those that have ended the oldest go, and none that runs", async () => {
  const path = join(directory, "many.json");
  const book = await JobBook.open(path, quiet);
  book.put(jobRecord("runs"));
  for (let n = 0; n < mostEnded + 10; n++) book.put(jobRecord(`ended-${n}`, { state: "exited", code: 0 }));
  await book.close();
  const ids = (await readJobRecords(path)).map(({ id }) => id);
  assert.deepEqual(ids.slice(0, 2), ["runs", "ended-10"]);
  assert.equal(ids.length, mostEnded + 1);
});

test("what cannot be written is told, and written when it can be", async () => {
  const place = join(directory, "gone");
  const path = join(place, "jobs.json");
  const problems: string[] = [];
  const book = await JobBook.open(path, (problem) => problems.push(problem));
  book.put(jobRecord("a"));
  await assert.rejects(book.saved(), IoError);
  assert.match(problems[0] ?? "", /jobs\.json is behind/);
  await mkdir(place);
  await book.saved();
  assert.equal((await readJobRecords(path)).length, 1);
  await book.close();
});

test("a damaged one is begun anew, and one that has left the disk writes nothing", async () => {
  const path = join(directory, "damaged.json");
  await writeFile(path, "{");
  const problems: string[] = [];
  const book = await JobBook.open(path, (problem) => problems.push(problem));
  assert.equal(problems.length, 1);
  assert.deepEqual([...book.records], []);
  await book.leaveDisk();
  await rm(path);
  book.put(jobRecord("a"));
  await book.saved();
  assert.deepEqual(await readJobRecords(path), []);
  assert.equal(book.get("a")?.id, "a");
});
