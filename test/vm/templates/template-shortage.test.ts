import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { IoError } from "../../../src/index.ts";
import { processesGone, smallMemory, timeout } from "../lifecycle-support.ts";
import { mountingSkip, mountSmallDisk, unmountSmallDisk } from "../failures/small-disk.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, kindsOf, runtimeLog, small, templatesOf, type StoredTemplate } from "./template-support.ts";

export const needs: Needs = ["template", "disk-full"];

// A host that is short of something while a sandbox starts from a template. That is no fault of the template, which stays.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const api = pathToFileURL(new URL("../../../src/index.ts", import.meta.url).pathname).href;
const sandboxes = join(home, "sandboxes");
let templates: StoredTemplate[];

before(async () => {
  await destroy(await small("first"));
  await processesGone(home);
  templates = await templatesOf(home);
  assert.deepEqual(await kindsOf(home), ["image", "machine"]);
});

afterEach(() => processesGone(home));

/** @param room what remains for the sandbox; its blank upper disk takes more than half a MiB */
for (const room of ["64k", "256k", "512k"]) {
  test(`the disk of the sandboxes has ${room}`, { timeout, skip: mountingSkip }, async () => {
    await mountSmallDisk(sandboxes, `size=${room}`);
    try {
      await assert.rejects(small("full"), (error) => {
        assert.ok(error instanceof IoError, String(error));
        assert.match(error.hint, /disk is full/);
        return true;
      });
      await processesGone(home);
      assert.deepEqual(await templatesOf(home), templates);
    } finally {
      await unmountSmallDisk(sandboxes);
    }
    const sandbox = await small("roomy");
    assert.match(await runtimeLog(home, "roomy"), /started from the image template/);
    await destroy(sandbox);
  });
}

/** Creates a sandbox in processes that may have so many files open. @returns why not, or null */
async function createWithFiles(count: number): Promise<string | null> {
  const source = `
    import { Sandbox } from ${JSON.stringify(api)};
    const options = { name: "few", image: "localhost/base", memoryMib: ${smallMemory}, logLevel: "info", replace: true };
    const sandbox = await Sandbox.create(options);
    await sandbox.exec("true");
    await sandbox.kill();`;
  const limited = `ulimit -n ${count}; exec "$0" --input-type=module --eval "$1"`;
  const child = spawn("sh", ["-c", limited, process.execPath, source], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  const [said, [code]] = await Promise.all([
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  await processesGone(home);
  return code === 0 ? null : said;
}

test("too few files may be open", { timeout }, async () => {
  const failures: string[] = [];
  for (let count = 20; ; count += 2) {
    const failure = await createWithFiles(count);
    assert.deepEqual(await templatesOf(home), templates, `with ${count} files: ${failure ?? "created"}`);
    if (failure === null) break;
    failures.push(failure);
    assert.ok(count < 256, failure);
  }
  assert.match(await runtimeLog(home, "few"), /started from the image template/);
  // Some of them came as far as to QEMU.
  assert.ok(
    failures.some((failure) => failure.includes("QEMU")),
    failures.at(-1),
  );
});
