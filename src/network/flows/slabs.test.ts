import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { describe, it } from "node:test";
import { bytesOf, Lane, type Piece, Slabs } from "./slabs.ts";

describe("memory for bytes on their way", () => {
  it("keeps what was copied until it is given back, in whatever order", () => {
    const lane = new Lane(new Slabs());
    const kept: { piece: Piece; copy: Buffer }[] = [];
    for (let round = 0; round < 2000; round++) {
      const bytes = randomBytes(randomInt(1, 3000));
      let at = 0;
      lane.copy(bytes, undefined, (piece) => {
        const length = piece.end - piece.start;
        kept.push({ piece, copy: bytes.subarray(at, at + length) });
        at += length;
      });
      assert.equal(at, bytes.length);
      if (kept.length < 100) continue;
      const [{ piece, copy }] = kept.splice(randomInt(kept.length), 1) as [(typeof kept)[number]];
      assert.deepEqual(bytesOf(piece), copy);
      lane.release(piece);
    }
    for (const { piece, copy } of kept) assert.deepEqual(bytesOf(piece), copy);
  });

  it("is used again", () => {
    const lane = new Lane(new Slabs());
    const seen = new Set<Buffer>();
    for (let round = 0; round < 1000; round++) {
      const pieces: Piece[] = [];
      lane.copy(Buffer.alloc(100_000), undefined, (piece) => pieces.push(piece));
      for (const piece of pieces) {
        seen.add(piece.slab.buffer);
        lane.release(piece);
      }
    }
    assert.ok(seen.size <= 3, `${seen.size} slabs`);
  });

  it("adds to the last piece what lies right behind it", () => {
    const lane = new Lane(new Slabs());
    const pieces: Piece[] = [];
    for (const word of ["one ", "two ", "three"])
      lane.copy(Buffer.from(word), pieces[pieces.length - 1], (piece) => pieces.push(piece));
    assert.deepEqual(
      pieces.map((piece) => bytesOf(piece).toString()),
      ["one two three"],
    );
  });

  it("is not kept by others' bytes: a byte that waits keeps one slab", () => {
    const slabs = new Slabs();
    const slow = new Lane(slabs);
    const quick = new Lane(slabs);
    const waiting: Piece[] = [];
    const seen = new Set<Buffer>();
    for (let round = 0; round < 1000; round++) {
      slow.copy(Buffer.alloc(1), waiting[waiting.length - 1], (piece) => waiting.push(piece));
      const pieces: Piece[] = [];
      quick.copy(Buffer.alloc(260 * 1024), undefined, (piece) => pieces.push(piece));
      for (const piece of [...waiting, ...pieces]) seen.add(piece.slab.buffer);
      for (const piece of pieces) quick.release(piece);
    }
    assert.equal(waiting.length, 1);
    assert.ok(seen.size <= 6, `${seen.size} slabs`);
  });

  it("is cut where a segment ends", () => {
    const lane = new Lane(new Slabs());
    const lengths: number[] = [];
    lane.copy(Buffer.alloc(200_000), undefined, ({ start, end }) => lengths.push(end - start), 65_480);
    assert.deepEqual(lengths, [65_480, 65_480, 65_480, 3560]);
  });
});
