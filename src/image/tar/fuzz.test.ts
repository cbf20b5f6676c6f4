import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ImageError } from "../../errors/index.ts";
import { importLayers } from "../import/import-layers.ts";
import { defaultImportLimits } from "../import/limits.ts";
import { fuzzTarReader, mutatedArchive, randomNumbers } from "../../../test/support/fuzz-tar-reader.ts";
import { readErofs } from "../../../test/support/erofs-reader.ts";
import { layerOf, workDirectory } from "../../../test/support/image-support.ts";

test("mutated archives are read or refused, and nothing else", () => {
  const { accepted, refused } = fuzzTarReader(1, 20_000);
  assert.ok(accepted > 2000 && refused > 2000, `${accepted} accepted, ${refused} refused`);
});

test("mutated layers become an image that can be read, or are refused", async () => {
  await using work = await workDirectory();
  const output = join(work.path, "image");
  const random = randomNumbers(7);
  const limits = { ...defaultImportLimits, maxFileBytes: 1 << 24 };
  let imported = 0;
  for (let round = 0; round < 300; round++) {
    const layers = Array.from({ length: 1 + random(3) }, () => layerOf(mutatedArchive(random)));
    try {
      await importLayers(layers, output, limits);
    } catch (error) {
      assert.ok(error instanceof ImageError, `round ${round}: ${String(error)}`);
      continue;
    }
    imported++;
    assert.ok((await readErofs(output)).has(""), `round ${round}`);
  }
  assert.ok(imported > 30 && imported < 270, `${imported} imported`);
});
