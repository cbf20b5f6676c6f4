import assert from "node:assert/strict";
import { test } from "node:test";
import { committedModule, kernelModule } from "./generate-checksum.ts";

test("the committed checksum kernel is that of its source", async () => {
  assert.equal(
    await committedModule(),
    await kernelModule(),
    "run `npm run generate` and commit what it writes",
  );
});
