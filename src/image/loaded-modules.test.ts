/** What is loaded before a machine can start: a sandbox of a stored image must not wait for what pulls one. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const source = new URL("../", import.meta.url).href;

/** The files of `src/` that are loaded when a program has imported these ones. */
async function loadedBy(...files: readonly string[]): Promise<string[]> {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
    for (const file of process.argv.slice(1)) await import(file);
    console.log(JSON.stringify(loaded));
  `;
  const urls = files.map((file) => source + file);
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script, ...urls]);
  const loaded = JSON.parse(stdout) as string[];
  return loaded.filter((url) => url.startsWith(source)).map((url) => url.slice(source.length));
}

/** Of what makes and fetches images. */
const others = /^image\/(?:archive|credentials|erofs|import|registry|tar)\//;

for (const [what, files] of [
  ["the public interface", ["index.ts"]],
  ["an image that is stored", ["image/pull/pull.ts", "image/stored.ts"]],
  ["the supervisor", ["supervisor/supervisor.ts", "supervisor/diagnose/diagnose.ts", "image/stored.ts"]],
] as const) {
  test(`${what} loads nothing that makes or fetches images`, async () => {
    const loaded = await loadedBy(...files);
    for (const file of files) assert.ok(loaded.includes(file), file);
    assert.deepEqual(
      loaded.filter((file) => others.test(file)),
      [],
    );
  });
}

test("what pulls an image does load it", async () => {
  const loaded = await loadedBy("image/pull/pull-from-registry.ts");
  assert.ok(loaded.filter((file) => others.test(file)).length > 20, String(loaded.length));
});
