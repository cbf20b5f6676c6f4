import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "../errors/index.ts";
import type { TreeEntry } from "./generated/messages.ts";
import {
  encodeData,
  encodeEntry,
  encodeHole,
  encodeLink,
  encodeProblem,
  TreeRecordReader,
} from "./tree-records.ts";

const file: TreeEntry = {
  path: Buffer.from([0x61, 0xff]),
  kind: "file",
  mode: 0o4755,
  uid: 0xffff_fffe,
  gid: 5,
  mtimeNs: -1n,
  size: 9,
  target: Buffer.alloc(0),
};
const link: TreeEntry = { ...file, kind: "symlink", size: 0, target: Buffer.from("../x") };
const whole = Buffer.concat([
  encodeEntry(file),
  encodeData(4),
  Buffer.from("data"),
  encodeHole(5),
  encodeEntry(link),
]);

/** What a reader makes of pieces, with the data in one. */
function read(pieces: readonly Buffer[], contents = true): string[] {
  const reader = new TreeRecordReader(contents);
  const found: string[] = [];
  let data = "";
  for (const piece of pieces) {
    for (const record of reader.push(piece)) {
      if (record.type === "data") {
        data += record.bytes.toString();
        continue;
      }
      if (data !== "") found.push(data);
      data = "";
      if (record.type === "hole") found.push(`hole ${record.length}`);
      else if (record.type === "problem") found.push(record.problem.message);
      else
        found.push(`${record.entry.kind} ${record.entry.size} ${record.entry.mtimeNs} ${record.entry.uid}`);
    }
  }
  reader.end();
  return found;
}

const expected = ["file 9 -1 4294967294", "data", "hole 5", "symlink 0 -1 4294967294"];

test("records may come in any pieces", () => {
  assert.deepEqual(read([whole]), expected);
  for (let at = 0; at <= whole.length; at++)
    assert.deepEqual(read([whole.subarray(0, at), whole.subarray(at)]), expected);
  assert.deepEqual(read(Array.from(whole, (byte) => Buffer.from([byte]))), expected);
});

test("a problem within a file ends it, and says that what came of it is void", () => {
  const problem = encodeProblem({ path: file.path, operation: "read", errno: 5, message: "I/O" });
  const reader = new TreeRecordReader();
  const bytes = Buffer.concat([
    encodeEntry(file),
    encodeData(4),
    Buffer.from("data"),
    problem,
    problem,
    encodeEntry(link),
  ]);
  const told = [...reader.push(bytes)].map((record) =>
    record.type === "problem" ? record.voids : record.type,
  );
  reader.end();
  assert.deepEqual(told, ["entry", "data", true, false, "entry"]);
});

test("a list has files without contents", () => {
  assert.deepEqual(read([Buffer.concat([encodeEntry(file), encodeEntry(link)])], false), [
    expected[0],
    expected[3],
  ]);
});

test("what does not add up, and what is cut off, is a ProtocolError", () => {
  const ends = [0, whole.length - encodeEntry(link).length];
  for (let end = 0; end < whole.length; end++) {
    if (!ends.includes(end)) assert.throws(() => read([whole.subarray(0, end)]), ProtocolError, `at ${end}`);
  }
  const wrong: readonly Buffer[] = [
    encodeData(1),
    encodeHole(1),
    Buffer.concat([encodeEntry(file), encodeData(10)]),
    Buffer.concat([encodeEntry(file), encodeHole(0)]),
    Buffer.concat([encodeEntry(file), encodeEntry(file)]),
    Buffer.concat([encodeEntry(link), encodeHole(1)]),
    Buffer.from([0, 0, 0, 0]),
    Buffer.from([0, 1, 0, 1, 1]),
    Buffer.from([0, 0, 0, 1, 9]),
    Buffer.from([0, 0, 0, 2, 3, 0]),
  ];
  for (const bytes of wrong) assert.throws(() => read([bytes]), ProtocolError, bytes.toString("hex"));
});

test("a further name of a file is for guests: from one it is refused", () => {
  const none = Buffer.alloc(0);
  const root = {
    path: none,
    kind: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: 0,
    target: none,
  } as const;
  const reader = new TreeRecordReader();
  assert.equal([...reader.push(encodeEntry(root))].length, 1);
  const link = encodeLink(Buffer.from("a"), Buffer.from("b\xff", "latin1"));
  assert.equal(link.toString("hex"), "0000000c" + "05" + "0000000161" + "0000000262ff");
  assert.throws(() => [...reader.push(link)], ProtocolError);
});
