import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "../errors/index.ts";
import { encodeEntry, encodeLink, TreeRecordReader } from "./tree-records.ts";

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
