/**
 * Trees at random, whole and damaged, in pieces of all sizes. `PROTOCOL_FUZZ_SEED=…` replays a run, `PROTOCOL_FUZZ_ROUNDS` makes it longer.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { chunks, mutate, pick, randomBytes, rounds, seeded, type Random } from "../../test/support/fuzz.ts";
import { ProtocolError } from "../errors/index.ts";
import { MAX_RECORD } from "./generated/limits.ts";
import type { TreeEntry } from "./generated/messages.ts";
import { encodeData, encodeEntry, encodeHole, encodeProblem, TreeRecordReader } from "./tree-records.ts";

function randomEntry(random: Random): TreeEntry {
  return {
    path: randomBytes(random, random(pick(random, [2, 20, 300]))),
    kind: pick(random, ["file", "file", "directory", "symlink", "other"]),
    mode: random(0o10000),
    uid: random(2 ** 32),
    gid: random(2 ** 32),
    mtimeNs: BigInt(random(2 ** 32)) - 2n ** 31n,
    size: random(pick(random, [1, 10, 2000])),
    target: randomBytes(random, random(10)),
  };
}

function problem(random: Random): Buffer {
  const path = randomBytes(random, random(20));
  return encodeProblem({ path, operation: "read", errno: random(134), message: "漢字" });
}

/** What a file of this size consists of, until a problem ends it. */
function contents(random: Random, size: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let left = size; left > 0;) {
    if (random(20) === 0) return [...parts, problem(random)];
    const length = 1 + random(left);
    left -= length;
    parts.push(
      ...(random(3) === 0 ? [encodeHole(length)] : [encodeData(length), randomBytes(random, length)]),
    );
  }
  return parts;
}

function randomTree(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let count = 1 + random(6); count > 0; count--) {
    if (random(6) === 0) parts.push(problem(random));
    const entry = randomEntry(random);
    parts.push(encodeEntry(entry), ...(entry.kind === "file" ? contents(random, entry.size) : []));
  }
  return Buffer.concat(parts);
}

/** What a reader makes of the pieces, in a form that has no pieces any more; and whether it took all of it. */
function read(pieces: Iterable<Buffer>): { readonly told: Buffer; readonly failure: string | null } {
  const reader = new TreeRecordReader();
  const told: Buffer[] = [];
  /** Bytes that the last file lacks. */
  let lacks = 0;
  let data: Buffer[] = [];
  const flush = (): void => {
    const bytes = Buffer.concat(data);
    if (bytes.length > 0) told.push(encodeData(bytes.length), bytes);
    data = [];
  };
  const take = (length: number): void => {
    lacks -= length;
    assert.ok(lacks >= 0, "more came of a file than it has");
  };
  try {
    for (const piece of pieces) {
      for (const record of reader.push(piece)) {
        if (record.type === "data") {
          take(record.bytes.length);
          data.push(Buffer.from(record.bytes));
          continue;
        }
        flush();
        if (record.type === "hole") {
          take(record.length);
          told.push(encodeHole(record.length));
        } else if (record.type === "problem") {
          assert.equal(record.voids, lacks > 0);
          lacks = 0;
          told.push(encodeProblem(record.problem));
        } else {
          assert.equal(lacks, 0, "an entry came in the middle of a file");
          lacks = record.entry.kind === "file" ? record.entry.size : 0;
          const bytes = encodeEntry(record.entry);
          assert.ok(bytes.length <= MAX_RECORD + 4);
          told.push(bytes);
        }
      }
    }
    reader.end();
    flush();
    return { told: Buffer.concat(told), failure: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    flush();
    return { told: Buffer.concat(told), failure: error.message };
  }
}

test("any chunking of a tree gives the same tree", (context) => {
  const random = seeded(context);
  for (let round = rounds(300); round > 0; round--) {
    const tree = randomTree(random);
    const whole = read([tree]);
    assert.equal(whole.failure, null);
    // The records say all that was sent, but for where data was cut.
    assert.deepEqual(read([whole.told]), whole);
    assert.deepEqual(read(chunks(random, tree)), whole);
  }
});

test("whatever comes as a tree, the worst is a ProtocolError, and the same one in any pieces", (context) => {
  const random = seeded(context);
  let accepted = 0;
  let refused = 0;
  for (let round = rounds(2000); round > 0; round--) {
    const tree = random(8) === 0 ? randomBytes(random, random(80)) : mutate(random, randomTree(random));
    const whole = read([tree]);
    assert.deepEqual(read(chunks(random, tree)), whole);
    if (whole.failure === null) accepted++;
    else refused++;
  }
  assert.ok(accepted > 0 && refused > 0, `${accepted} accepted, ${refused} refused`);
});
