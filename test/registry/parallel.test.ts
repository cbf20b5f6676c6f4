import assert from "node:assert/strict";
import { test } from "node:test";
import { pullImage } from "../../src/image/pull/pull.ts";
import { image, layer, newHome, push, scratch } from "./images.ts";
import { MisbehavingProxy } from "./misbehaving-proxy.ts";
import { RegistryServer } from "./registry-server.ts";

test("layers are downloaded side by side, and not more of them than was asked for", async () => {
  await using directory = await scratch();
  await using server = await RegistryServer.start(directory.path);
  await using proxy = await MisbehavingProxy.start(server.host);
  const names = ["a", "b", "c", "d", "e", "f"];
  const built = image(await Promise.all(names.map((name) => layer({ [name]: name }))));
  await push(built, `${server.host}/app:1`);
  const digests = new Set(built.layers.map(({ blob }) => blob.digest));
  for (const parallelLayers of [undefined, 2]) {
    const expected = parallelLayers ?? 3;
    let underWay = 0;
    let most = 0;
    let held: (() => void)[] = [];
    proxy.misbehave = (request, response, forward) => {
      if (!digests.has(request.path.split("/").at(-1) ?? "")) return false;
      underWay += 1;
      most = Math.max(most, underWay);
      response.on("finish", () => (underWay -= 1));
      held.push(forward);
      // One that comes alone would wait for ever.
      if (held.length === expected) {
        for (const go of held) go();
        held = [];
      }
      return true;
    };
    const home = await newHome(directory.path);
    await pullImage(`${proxy.host}/app:1`, { home, environment: {}, parallelLayers });
    assert.equal(most, expected);
  }
});
