import assert from "node:assert/strict";
import { test } from "node:test";
import { checkVolumeConfig } from "../../config/volumes/volume-config.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import { VolumeBuilder } from "./volume-builder.ts";

const build = (): VolumeBuilder => new VolumeBuilder("one");

test("a limit that is none is refused, and not left out", () => {
  for (const wrong of [undefined, null, 0, "5", NaN, 1e300] as never[]) {
    assert.throws(() => build().quota(wrong).build(), InvalidConfigError);
    assert.throws(() => build().disk().size(wrong).build(), InvalidConfigError);
  }
  assert.equal(build().quota(5).build().quotaMib, 5);
});

test("two names of one size agree, or are refused", () => {
  const disk = { name: "one", kind: "disk", capacityMib: 64 } as const;
  assert.throws(() => checkVolumeConfig({ ...disk, sizeMib: 128 }), /capacityMib of 64 and a sizeMib of 128/);
  assert.equal(checkVolumeConfig({ ...disk, sizeMib: 64 }).capacityMib, 64);
});
