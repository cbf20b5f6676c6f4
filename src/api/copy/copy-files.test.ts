import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { directory, entry, file, guestWithTree } from "../../../test/support/guest-tree.ts";
import { ProtocolError } from "../../errors/index.ts";
import { encodeData, encodeProblem } from "../../protocol/tree-records.ts";
import { ArchiveSink } from "./archive-ends.ts";
import type { CopySink } from "./copy-end.ts";
import type { CopyProblems } from "./copy-problem.ts";
import { GuestSource } from "./guest-source.ts";
import { HostSink } from "./host-sink.ts";

const place = mkdtempSync(join(tmpdir(), "msb-copy-"));
after(() => {
  rmSync(place, { recursive: true, force: true });
});

const problem = (path: string): Buffer =>
  encodeProblem({ path: Buffer.from(path), operation: "read", errno: 5, message: "it became shorter" });

/** One file that is cut short, with what could be taken for the head of another one, and one after it. */
const cut = [
  directory(""),
  entry("cut", { size: 100_000 }),
  encodeData(70_000),
  Buffer.alloc(70_000, "x"),
  problem("cut"),
  problem("unread"),
  file("next", "whole"),
];

async function copy(records: readonly Buffer[], sink: CopySink): Promise<CopyProblems[]> {
  const source = new GuestSource(guestWithTree(records), "/x", false);
  try {
    for await (const events of source.read(AbortSignal.timeout(20_000))) await sink.write(events);
    return [source.problems, await sink.finish()];
  } catch (error) {
    await sink.abort(error as Error);
    throw error;
  }
}

const named = (ends: readonly CopyProblems[]): string[] =>
  ends.flatMap(({ list }) => list.map(({ path, message }) => `${Buffer.from(path).toString()} ${message}`));

test("a file that a guest cannot read to its end is named, and the rest is copied", async () => {
  const path = join(place, "new");
  const sink = await HostSink.open({ kind: "as", path }, true, false);
  assert.deepEqual(named(await copy(cut, sink)), [
    "unread read: it became shorter",
    "cut read: it became shorter",
  ]);
  assert.deepEqual(readdirSync(path), ["next"]);
  assert.equal(readFileSync(join(path, "next"), "utf8"), "whole");
});

test("in an archive it has the length that was said, so that nothing in it is taken for another entry", async () => {
  const parts: Uint8Array[] = [];
  const ends = await copy(cut, new ArchiveSink((bytes) => Promise.resolve(void parts.push(bytes)), "root"));
  assert.deepEqual(named(ends).toSorted(), ["cut read: it became shorter", "unread read: it became shorter"]);
  mkdirSync(join(place, "unpacked"));
  execFileSync("tar", ["x", "-C", join(place, "unpacked")], { input: Buffer.concat(parts) });
  const at = join(place, "unpacked/root");
  assert.deepEqual(readdirSync(at).toSorted(), ["cut", "next"]);
  const found = readFileSync(join(at, "cut"));
  assert.ok(found.equals(Buffer.concat([Buffer.alloc(70_000, "x"), Buffer.alloc(30_000)])));
  assert.equal(readFileSync(join(at, "next"), "utf8"), "whole");
});

test("of more problems than anyone reads the first ones are kept", async () => {
  const records = [directory(""), ...Array.from({ length: 5000 }, (_, index) => problem(String(index)))];
  const [{ list, count } = { list: [], count: 0 }] = await copy(
    records,
    await HostSink.open({ kind: "as", path: join(place, "many") }, true, false),
  );
  assert.equal(list.length, 1000);
  assert.equal(count, 5000);
});

test("a copy that fails says why, and leaves nothing, whatever modes its directories have", async () => {
  const before = readdirSync(place);
  const records = [directory(""), entry("shut", { kind: "directory", mode: 0 }), directory("")];
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) chmodSync(place, 0o777);
  if (isRoot) process.seteuid?.(65534);
  try {
    const sink = await HostSink.open({ kind: "as", path: join(place, "failed") }, true, false);
    await assert.rejects(copy(records, sink), ProtocolError);
    assert.deepEqual(readdirSync(place), before);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});
