import assert from "node:assert/strict";
import { test } from "node:test";

import { generatedFiles, outdatedFiles } from "./generate-protocol.ts";

test("the committed codecs are those of the schema", async () => {
  const outdated = await outdatedFiles();
  assert.deepEqual(
    outdated.map((file) => file.path),
    [],
    "run `npm run generate` and commit what it writes",
  );
});

test("both sides get the same protocol version and tags", () => {
  const [typescript, rust] = ["src/protocol/generated/messages.ts", "agent/src/generated/messages.rs"].map(
    (path) => generatedFiles().find((file) => file.path === path),
  );
  assert.ok(typescript !== undefined && rust !== undefined);
  const version = /PROTOCOL_VERSION(?:: u32)? = (\d+);/;
  assert.equal(version.exec(typescript.text)?.[1], version.exec(rust.text)?.[1]);
  const rustTags = [...rust.text.matchAll(/ (\d+) => Message::(\w+)/g)].map(
    ([, tag, name]) => `${tag} ${name}`,
  );
  assert.ok(rustTags.length > 10);
  for (const entry of rustTags) {
    const [tag, name] = entry.split(" ");
    assert.match(typescript.text, new RegExp(`case "${name}":\n      writer.u8\\(${tag}\\);`));
  }
});
