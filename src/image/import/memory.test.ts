import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { constants, createZstdCompress } from "node:zlib";
import type { MemoryCase, MemoryResult } from "../../../test/support/image-memory-main.ts";
import { workDirectory } from "../../../test/support/image-support.ts";
import { pax, paxRecord, tarEntry, type TarFields } from "../../../test/support/tar-builder.ts";

const run = promisify(execFile);

/** What an import may take, whatever the image. */
const maximumBytes = 300e6;
const program = fileURLToPath(new URL("../../../test/support/image-memory-main.ts", import.meta.url));

interface Layer {
  readonly entries: Iterable<Buffer>;
  /** Of zstd, as a power of two. */
  readonly windowBits?: number;
}

interface Case {
  readonly name: string;
  /** The lowest first. */
  readonly layers: readonly Layer[];
  readonly entries: number;
  /** In place of what the image's configuration says of its history, which nobody reads. */
  readonly history?: string;
}

const cases: readonly Case[] = [
  {
    name: "a million names, long ones and directories, and a zstd window of 32 MiB that is filled",
    layers: [
      {
        entries: chain(
          longNamed(110_000, 230),
          numbered(889_000, { type: "5" }, (i) => `d${i}`),
          content(100),
        ),
        windowBits: 25,
      },
    ],
    entries: 999_001,
    history: `[${"{},".repeat(49_000)}{}]`,
  },
  {
    name: "layers whose directories merge, and hard links to a lower layer's files",
    layers: [
      {
        entries: chain(
          directories(240_000),
          numbered(240_000, {}, (i) => `f${i}`),
        ),
      },
      {
        entries: chain(
          directories(240_000),
          numbered(
            240_000,
            { type: "1" },
            (i) => `h${i}`,
            (i) => `f${i}`,
          ),
        ),
      },
    ],
    entries: 960_000,
  },
  {
    name: "files with one chunk each, and files with attributes of their own",
    layers: [{ entries: chain(holes(650_000), attributed(300_000)) }],
    entries: 950_000,
  },
  {
    name: "headers full of records and of pieces of files",
    layers: [{ entries: headers(60) }],
    entries: 120,
  },
];

let work: Awaited<ReturnType<typeof workDirectory>>;

before(async () => {
  work = await workDirectory();
  // The first process of a version compiles and keeps what the others load, as the published package is compiled.
  await measure({ name: "warm-up", layers: [{ entries: [] }], entries: 0 });
});

after(() => work[Symbol.asyncDispose]());

for (const item of cases) {
  test(`memory: ${item.name}`, async () => {
    const { entries, peakBytes } = await measure(item);
    assert.equal(entries, item.entries);
    assert.ok(peakBytes < maximumBytes, `${(peakBytes / 1e6).toFixed(0)} MB`);
  });
}

async function measure({ layers, history }: Case): Promise<MemoryResult> {
  const written: MemoryCase["layers"][number][] = [];
  for (const [index, layer] of layers.entries()) {
    written.push(await writeLayer(join(work.path, `layer-${index}`), layer));
  }
  const config = join(work.path, "config.json");
  const diffIds = JSON.stringify(written.map(({ diffId }) => diffId));
  await writeFile(
    config,
    `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":${diffIds}},"history":${history ?? "[]"}}`,
  );
  const given: MemoryCase = { config, layers: written, output: join(work.path, "image") };
  // A shell in between, because the highest memory of a process begins with that of the one it was forked from.
  const script = '"$@"; exit $?';
  const { stdout } = await run("sh", ["-c", script, "sh", process.execPath, program, JSON.stringify(given)], {
    env: { ...process.env, NODE_COMPILE_CACHE: join(work.path, "compiled") },
    timeout: 900_000,
  });
  return JSON.parse(stdout) as MemoryResult;
}

async function writeLayer(path: string, layer: Layer): Promise<{ path: string; diffId: string }> {
  const hash = createHash("sha256");
  const windowBits = layer.windowBits === undefined ? {} : { [constants.ZSTD_c_windowLog]: layer.windowBits };
  const params = { [constants.ZSTD_c_compressionLevel]: 1, ...windowBits };
  const pieces = function* (): Generator<Buffer> {
    for (const piece of inPieces(layer.entries)) {
      hash.update(piece);
      yield piece;
    }
  };
  await pipeline(Readable.from(pieces()), createZstdCompress({ params }), createWriteStream(path));
  return { path, diffId: `sha256:${hash.digest("hex")}` };
}

/** Joins small entries, so that a million of them are not a million writes. Ends with two zero blocks. */
function* inPieces(entries: Iterable<Buffer>): Generator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for (const entry of entries) {
    parts.push(entry);
    bytes += entry.length;
    if (bytes < 1 << 18) continue;
    yield Buffer.concat(parts);
    parts = [];
    bytes = 0;
  }
  yield Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function* chain(...parts: readonly Iterable<Buffer>[]): Generator<Buffer> {
  for (const part of parts) yield* part;
}

/** Entries that differ in their names alone: the checksum is corrected rather than made anew, which is ten times faster. */
function* numbered(
  count: number,
  fields: Omit<TarFields, "name" | "link">,
  name: (index: number) => string,
  link: (index: number) => string = () => "",
): Generator<Buffer> {
  const template = tarEntry({ ...fields, name: "" });
  const sum = Number.parseInt(template.toString("latin1", 148, 154), 8);
  for (let index = 0; index < count; index++) {
    const entry = Buffer.from(template);
    const length = entry.write(name(index), 0, "latin1");
    const linkLength = entry.write(link(index), 157, "latin1");
    let added = 0;
    for (let at = 0; at < length; at++) added += entry[at] ?? 0;
    for (let at = 157; at < 157 + linkLength; at++) added += entry[at] ?? 0;
    entry.write((sum + added).toString(8).padStart(6, "0"), 148, "latin1");
    yield entry;
  }
}

function directories(count: number): Iterable<Buffer> {
  return numbered(count, { type: "5" }, (index) => `d${index}`);
}

function* longNamed(count: number, length: number): Generator<Buffer> {
  const file = tarEntry({ name: "long" });
  for (let index = 0; index < count; index++) {
    yield tarEntry({ name: "L", type: "L", data: `${String(index).padStart(length, "n")}\0` });
    yield file;
  }
}

/** One file of so many MiB, each other than the one before. */
function* content(mebibytes: number): Generator<Buffer> {
  yield tarEntry({ name: "content", size: mebibytes << 20 });
  for (let index = 0; index < mebibytes; index++) {
    const piece = Buffer.alloc(1 << 20, "x");
    piece.writeUInt32LE(index);
    yield piece;
  }
}

/** Sparse files of 4096 bytes without data: a chunk map of one chunk each. */
function holes(count: number): Iterable<Buffer> {
  const edit = (header: Buffer): void => {
    header.write("00000010000\0", 483, "latin1");
  };
  return numbered(count, { type: "S", edit }, (index) => `s${index}`);
}

function* attributed(count: number): Generator<Buffer> {
  let index = 0;
  for (const file of numbered(count, {}, (i) => `x${i}`)) {
    yield pax({ "SCHILY.xattr.user.a": String(index++).padStart(8, "0") });
    yield file;
  }
}

/** By turns a file behind a header of 1 MiB of records, and one whose map fills such a header. */
function* headers(count: number): Generator<Buffer> {
  const records = Array.from({ length: 80_000 }, (_, i) => paxRecord(`k${i.toString(36)}`, "v")).join("");
  const pieces = Array.from({ length: 65_000 }, (_, i) => `${2 * i + 1_000_000},1`).join(",");
  const data = Buffer.alloc(65_000, "x");
  for (let index = 0; index < count; index++) {
    yield tarEntry({ name: "pax", type: "x", data: Buffer.from(records, "latin1") });
    yield tarEntry({ name: `r${index}` });
    yield pax({ "GNU.sparse.size": "2000000", "GNU.sparse.map": pieces });
    yield tarEntry({ name: `m${index}`, data });
  }
}
