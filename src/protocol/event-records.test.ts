import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeEvent,
  EventRecordReader,
  isEventName,
  isWanted,
  stampEvent,
  wantsBeginning,
  wantsGuest,
} from "./event-records.ts";

test("records are read as they were written, whatever pieces they come in", () => {
  const records = [
    encodeEvent("guest", 0, "a", ""),
    encodeEvent("lifecycle", 1_800_000_000_000, "lifecycle:paused", '{"x":"ü"}'),
    encodeEvent("dropped", 5, "dropped", "17"),
    encodeEvent("guest", 7, "ü".repeat(64), JSON.stringify("x".repeat(1024 * 1024 - 2))),
  ];
  for (const record of records) stampEvent(record, 42);
  const all = Buffer.concat(records);
  for (const size of [1, 2, 3, 7, 64, 65_536, all.length]) {
    const reader = new EventRecordReader();
    const read = [];
    for (let at = 0; at < all.length; at += size) {
      // What is lent is another's afterwards.
      const piece = Buffer.from(all.subarray(at, at + size));
      read.push(...reader.push(piece));
      piece.fill(0xff);
    }
    assert.deepEqual(
      read.map(({ kind, name, timeMs }) => [kind, name, timeMs]),
      [
        ["guest", "a", 42],
        ["lifecycle", "lifecycle:paused", 42],
        ["dropped", "dropped", 42],
        ["guest", "ü".repeat(64), 42],
      ],
    );
    assert.ok(Buffer.concat(read.map(({ bytes }) => bytes)).equals(all));
    assert.equal(read[1]?.data.toString(), '{"x":"ü"}');
  }
});

test("what is no record costs the connection before it takes memory", () => {
  const record = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = encodeEvent("guest", 1, "name", "1");
    change(bytes);
    return bytes;
  };
  for (const bytes of [
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0, 0, 0, 0]),
    record((bytes) => bytes.writeUInt8(9, 4)),
    record((bytes) => bytes.writeUInt16BE(0, 13)),
    record((bytes) => bytes.writeUInt16BE(400, 13)),
    record((bytes) => bytes.writeUInt8(10, 15)),
    record((bytes) => bytes.fill(0xff, 5, 13)),
    encodeEvent("guest", 1, "name", "x".repeat(1024 * 1024 + 1)),
  ])
    assert.throws(() => new EventRecordReader().push(bytes), { code: "protocol" });
});

test("names, and who is told of them", () => {
  assert.ok(isEventName("x".repeat(128)) && isEventName("ü") && isEventName("a b"));
  assert.ok(
    !isEventName("") && !isEventName("x".repeat(129)) && !isEventName("a\n") && !isEventName("\u0085"),
  );
  assert.ok(isWanted("*", "a") && isWanted("a*", "ab") && isWanted("a", "a"));
  assert.ok(!isWanted("a*", "b") && !isWanted("a", "ab"));
  for (const names of [[], ["*"], ["net*"], ["network:dns"], ["a", "network:*"]])
    assert.ok(wantsBeginning(names, "network:"), names.join());
  for (const names of [["a"], ["lifecycle:*"], ["networks"]])
    assert.ok(!wantsBeginning(names, "network:"), names.join());
  assert.ok(wantsGuest([]) && wantsGuest(["*"]) && wantsGuest(["network:*", "a"]) && wantsGuest(["net*"]));
  assert.ok(!wantsGuest(["network:*", "lifecycle:paused"]));
});
