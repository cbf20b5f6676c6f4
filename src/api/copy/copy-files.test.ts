import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { directory, entry, file, guestThat, guestWithTree } from "../../../test/support/guest-tree.ts";
import { ProtocolError } from "../../errors/index.ts";
import { FrameKind } from "../../protocol/frame.ts";
import type { Stream } from "../../protocol/stream.ts";
import { encodeData, encodeProblem } from "../../protocol/tree-records.ts";
import { TreeSender } from "../fs/copy/tree-sender.ts";
import { GuestFiles } from "../fs/guest-files.ts";
import { GuestStream } from "../fs/guest-stream.ts";
import type { SandboxFs } from "../fs/sandbox-fs.ts";
import { ArchiveSink } from "./archive-ends.ts";
import type { CopySink } from "./copy-end.ts";
import { copyFiles } from "./copy-files.ts";
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

/** A guest that sends as fast as it is read: the records of each chunk in a frame of its own. */
function guestWithChunks(chunks: readonly Buffer[]): GuestFiles {
  const send = async (stream: Stream): Promise<void> => {
    stream.send({ type: "FileOpened", size: 0 });
    for (const chunk of chunks) {
      while (stream.credit < chunk.length) await setImmediate();
      stream.sendData(FrameKind.data, chunk);
    }
    stream.send({ type: "TreeDone", problemCount: 0, problems: [] });
  };
  const control = guestThat((stream, { type }) => {
    if (type === "TreeSend") void send(stream);
  });
  return new GuestFiles(control);
}

const chunkBytes = 60_000;

/** As many problems as fill a large chunk. */
function problems(bytes: number): Buffer {
  const one = problem("p".repeat(40));
  return Buffer.concat(Array.from({ length: Math.floor(bytes / one.length) }, () => one));
}

async function copiedSlowly(chunks: readonly Buffer[]): Promise<Buffer> {
  const fs = { files: guestWithChunks(chunks) } as unknown as SandboxFs;
  const parts: Buffer[] = [];
  await copyFiles(
    { kind: "sandbox", sandbox: "x", fs, path: "/tree" },
    {
      kind: "archive",
      // What comes meanwhile has all the time that it may want.
      write: async (bytes) => {
        for (let each = 0; each < 200; each++) await setImmediate();
        parts.push(Buffer.from(bytes));
      },
    },
    {
      ...{ followLinks: false, keepOwners: false, onProgress: () => undefined },
      signal: AbortSignal.timeout(20_000),
    },
  );
  return Buffer.concat(parts);
}

test(
  "what is being written slowly is as it came, however many problems come after it",
  { timeout: 30_000 },
  async () => {
    const content = Buffer.alloc(200_000, "A");
    const head = [directory(""), entry("file", { size: content.length }), encodeData(content.length)];
    const parts = [0, 1, 2, 3].map((part) => content.subarray(part * 50_000, (part + 1) * 50_000));
    const chunks = [
      Buffer.concat([...head, parts[0] ?? content]),
      ...parts.slice(1),
      ...Array.from({ length: 30 }, () => problems(chunkBytes)),
    ];
    const archive = await copiedSlowly(chunks);
    assert.ok(archive.includes(content));
  },
);

test("a small file among many problems is as it came", { timeout: 30_000 }, async () => {
  const chunks = Array.from({ length: 30 }, (_, index) =>
    Buffer.concat([
      ...(index === 0 ? [directory("")] : []),
      file(`file-${index}`, `content of ${index}!`),
      problems(chunkBytes),
    ]),
  );
  const archive = await copiedSlowly([problems(chunkBytes), ...chunks]);
  for (const index of chunks.keys()) assert.ok(archive.includes(`content of ${index}!`), String(index));
});

test("what is sent on to a guest is as it came when memory of it is used again", async () => {
  const control = guestThat(
    () => undefined,
    (_stream, data) => {
      received.resolve(data);
    },
  );
  const received = Promise.withResolvers<Buffer>();
  const signal = AbortSignal.timeout(20_000);
  const request = {
    type: "TreeReceive",
    path: Buffer.from("/x"),
    ...{ keepMode: true, keepTimes: true, keepOwner: true },
  } as const;
  const borrowed = await control.borrow({ signal } as never);
  const sender = new TreeSender(new GuestStream(borrowed, request, request.path), signal);
  const bytes = Buffer.from("small");
  await sender.send([{ type: "data", bytes }]);
  bytes.fill("x");
  await sender.end();
  assert.ok((await received.promise).includes("small"));
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
