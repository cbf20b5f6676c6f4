import assert from "node:assert/strict";
import { test } from "node:test";
import { SourcePorts } from "./source-ports.ts";

test("each dynamic port is handed out once, then none, and one that is given back comes again", () => {
  const ports = new SourcePorts();
  const taken = new Set(Array.from({ length: 16_384 }, () => ports.take()));
  assert.equal(taken.size, 16_384);
  assert.deepEqual(
    [Math.min(...(taken as Set<number>)), Math.max(...(taken as Set<number>))],
    [49_152, 65_535],
  );
  assert.equal(ports.take(), null);
  ports.release(50_000);
  assert.equal(ports.take(), 50_000);
  assert.equal(ports.take(), null);
});
