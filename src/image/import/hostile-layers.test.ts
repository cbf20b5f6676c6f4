import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ImageError } from "../../errors/index.ts";
import { hostileHeaders } from "../../../test/support/hostile-layers/headers.ts";
import { good } from "../../../test/support/hostile-layers/hostile.ts";
import { hostileNames } from "../../../test/support/hostile-layers/names.ts";
import { hostileStreams } from "../../../test/support/hostile-layers/streams.ts";
import { layerOf, refused } from "../../../test/support/image-support.ts";

const cases = [...hostileNames, ...hostileHeaders, ...hostileStreams];

test("there are at least forty hostile layers, each with its own name", () => {
  assert.ok(cases.length >= 40);
  assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
});

for (const { name, layers, says, limits } of cases) {
  test(`is refused and leaves nothing: ${name}`, { timeout: 120_000 }, async () => {
    const sources = layers.map((layer) => (layer instanceof Uint8Array ? layerOf(layer) : layer));
    const { error, left, result } = await refused(sources, limits);
    assert.equal(result, null);
    assert.ok(error instanceof ImageError, String(error));
    assert.match(error.message, says);
    assert.match(error.message, /^layer one: |^the root file system/);
    assert.deepEqual(left, []);
  });
}

test("the same bytes without their faults are an image", async () => {
  for (const layer of [
    layerOf(good),
    layerOf(good, gzipSync(good)),
    layerOf(good, zstdCompressSync(good)),
    layerOf(good, Buffer.concat([gzipSync(good.subarray(0, 700)), gzipSync(good.subarray(700))])),
  ]) {
    const { error, left } = await refused([layer]);
    assert.equal(error, null);
    assert.deepEqual(left, ["image"]);
  }
});
