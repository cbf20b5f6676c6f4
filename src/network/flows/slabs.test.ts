import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { describe, it } from "node:test";
import { bytesOf, type Piece, Slabs } from "./slabs.ts";

describe("memory for bytes on their way", () => {
  it("keeps what was copied until it is given back, in whatever order", () => {
    const slabs = new Slabs();
    const kept: { piece: Piece; copy: Buffer }[] = [];
    for (let round = 0; round < 2000; round++) {
      const bytes = randomBytes(randomInt(1, 3000));
      let at = 0;
      slabs.copy(bytes, undefined, (piece) => {
        const length = piece.end - piece.start;
        kept.push({ piece, copy: bytes.subarray(at, at + length) });
        at += length;
      });
      assert.equal(at, bytes.length);
      if (kept.length < 100) continue;
      const [{ piece, copy }] = kept.splice(randomInt(kept.length), 1) as [(typeof kept)[number]];
      assert.deepEqual(bytesOf(piece), copy);
      slabs.release(piece);
    }
    for (const { piece, copy } of kept) assert.deepEqual(bytesOf(piece), copy);
  });

  it("is used again", () => {
    const slabs = new Slabs();
    const seen = new Set<Buffer>();
    for (let round = 0; round < 1000; round++) {
      const pieces: Piece[] = [];
      slabs.copy(Buffer.alloc(100_000), undefined, (piece) => pieces.push(piece));
      for (const piece of pieces) {
        seen.add(piece.slab.buffer);
        slabs.release(piece);
      }
    }
    assert.ok(seen.size <= 2, `${seen.size} slabs`);
  });

  it("adds to the last piece what lies right behind it", () => {
    const slabs = new Slabs();
    const pieces: Piece[] = [];
    for (const word of ["one ", "two ", "three"])
      slabs.copy(Buffer.from(word), pieces[pieces.length - 1], (piece) => pieces.push(piece));
    assert.deepEqual(
      pieces.map((piece) => bytesOf(piece).toString()),
      ["one two three"],
    );
  });
});
