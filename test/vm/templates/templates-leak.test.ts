import assert from "node:assert/strict";
import { before, test } from "node:test";
import { timeout } from "../lifecycle-support.ts";
import { resourcesOf, type Resources } from "../resources.ts";
import { output } from "../images/root-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { kindsOf, small } from "./template-support.ts";

export const needs: Needs = ["template"];

// A sandbox that came and went leaves nothing behind: no process, no descriptor, no socket, no file.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const iterations = 16;

async function comeAndGo(name: string): Promise<void> {
  const sandbox = await small(name);
  assert.equal(await output(sandbox, "echo in; hostname"), `in\n${name}`);
  await sandbox.stop();
  await sandbox.removePersisted();
}

/** Once the last supervisor, which may still be on its way out, is gone. */
async function afterwards(): Promise<Resources> {
  return await eventually("the sandbox's processes to end", async () => {
    const resources = await resourcesOf(home);
    return resources.processes.length === 0 ? resources : null;
  });
}

before(async () => {
  const first = await small("first");
  // With its hashes a template has all its files.
  await eventually("the templates to be complete", async () => {
    const { files } = await resourcesOf(home);
    return files.filter((path) => path.endsWith("/hashes.json")).length === 2 ? true : null;
  });
  await first.stop();
  await first.removePersisted();
  await comeAndGo("second");
  assert.deepEqual(await kindsOf(home), ["image", "machine"]);
});

test("sandboxes that come and go leave nothing behind", { timeout }, async () => {
  const begin = await afterwards();
  for (let iteration = 0; iteration < iterations; iteration++) {
    await comeAndGo(`visitor-${iteration}`);
    const { descriptors, sockets, files } = await afterwards();
    assert.deepEqual(files, begin.files);
    const change = `${begin.descriptors.join(" ")}\n→ ${descriptors.join(" ")}`;
    assert.ok(descriptors.length <= begin.descriptors.length, change);
    assert.ok(sockets.length <= begin.sockets.length, change);
  }
});

test("what runs is seen", { timeout }, async () => {
  const begin = await afterwards();
  await using sandbox = await small("seen");
  await sandbox.ping();
  const now = await resourcesOf(home);
  assert.equal(now.processes.length, 2, now.processes.join("\n"));
  assert.ok(now.descriptors.length > begin.descriptors.length);
  assert.ok(now.sockets.length > begin.sockets.length);
  assert.ok(now.diskBytes > begin.diskBytes);
  assert.ok(now.files.includes("sandboxes/seen/state.json"));
});
