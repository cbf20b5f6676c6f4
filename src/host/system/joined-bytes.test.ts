import assert from "node:assert/strict";
import { test } from "node:test";
import { rounds, seeded } from "../../../test/support/fuzz.ts";
import { JoinedBytes } from "./joined-bytes.ts";

test("what is taken is what was added, in order", (context) => {
  const random = seeded(context);
  for (let round = rounds(200); round > 0; round--) {
    const joined = new JoinedBytes();
    const added: Buffer[] = [];
    const taken: Buffer[] = [];
    for (let step = 0; step < 40; step++) {
      if (random(3) > 0) {
        const bytes = Buffer.alloc(random(random(4) === 0 ? 200_000 : 50), random(256));
        added.push(Buffer.from(bytes));
        joined.add(bytes);
        // The adder's memory is its own again.
        bytes.fill(0);
      } else {
        const before = joined.length;
        const bytes = joined.take();
        assert.equal(bytes === null, before === 0);
        if (bytes !== null) taken.push(bytes);
      }
    }
    for (let bytes = joined.take(); bytes !== null; bytes = joined.take()) taken.push(bytes);
    assert.equal(joined.length, 0);
    assert.ok(taken.every(({ length }) => length > 0 && length <= 65_536));
    assert.equal(Buffer.compare(Buffer.concat(taken), Buffer.concat(added)), 0);
  }
});

test("single bytes are held in little more memory than they are", () => {
  const joined = new JoinedBytes();
  for (let n = 0; n < 300_000; n++) joined.add(Uint8Array.of(n & 0xff));
  const all: Buffer[] = [];
  for (let bytes = joined.take(); bytes !== null; bytes = joined.take()) all.push(bytes);
  const memory = all.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  assert.ok(memory < 400_000, `${memory} bytes in ${all.length} pieces`);
});
