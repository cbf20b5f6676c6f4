import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { isHeld } from "../../src/api/images/image-hold.ts";
import { loadImages } from "../../src/image/archive/load.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import { collectGarbage, type ImageUse } from "../../src/image/store/garbage.ts";
import { imageStore } from "../../src/image/store/layout.ts";
import { image, layer, newHome, scratch, writeLayout } from "./images.ts";

const run = promisify(execFile);

test("a sandbox's record made during a prune holds its image only if the prune has seen it", async () => {
  await using directory = await scratch();
  const home = await newHome(directory.path);
  const layout = join(directory.path, "layout");
  await writeLayout(layout, image([await layer({ file: "1" })]), "example.org/held:1");
  await run("tar", ["-C", layout, "-cf", `${layout}.tar`, "."]);
  await loadImages(home, `${layout}.tar`);
  const pulled = await pullImage("example.org/held:1", { home, policy: "never" });
  const use: ImageUse = {
    user: { kind: "sandbox", name: "sandbox" },
    reference: "example.org/held:1",
    manifestDigest: pulled.manifestDigest,
  };

  /** A prune that has looked at the sandboxes, and whose removing waits until the question was asked. */
  const pruneWhileAsked = async (seen: readonly ImageUse[]): Promise<boolean> => {
    const looked = Promise.withResolvers<undefined>();
    const asked = Promise.withResolvers<undefined>();
    const pruning = collectGarbage(
      imageStore(home),
      async () => {
        looked.resolve(undefined);
        await asked.promise;
        return seen;
      },
      (_entry, uses) => uses.length > 0,
      { partial: true },
    );
    await looked.promise;
    const held = isHeld(home, pulled, undefined);
    asked.resolve(undefined);
    await pruning;
    return await held;
  };

  assert.equal(await isHeld(home, pulled, undefined), true);
  assert.equal(await pruneWhileAsked([use]), true);
  assert.equal(await pruneWhileAsked([]), false);
  assert.equal(await isHeld(home, pulled, undefined), false);
});
