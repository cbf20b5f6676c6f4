import assert from "node:assert/strict";
import { test } from "node:test";
import { CustomError, Sandbox, Snapshot } from "../../../../src/index.ts";
import { MsbHome } from "../../cli/cli-support.ts";
import { smallMemory, timeout } from "../../lifecycle-support.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";

export const needs: Needs = ["running"];

// What is said of a sandbox that is suspended, or paused, and of changes that its guest cannot see.
const home = useTemporaryHome();
const cli = new MsbHome({ path: home });

const secret = (value: string) => ({ value, allowedHosts: ["api.example.com"] });

test(
  "a new secret is seen by a suspended guest only without its memory, and that is said",
  { timeout },
  async () => {
    const sandbox = await Sandbox.builder("told")
      .image("localhost/base")
      .memory(smallMemory)
      .createDetached();
    await sandbox.suspend();
    const handle = await Sandbox.get("told");
    const first = { secrets: { KEY: secret("first-value") } };
    assert.equal(
      (await handle.modify({ ...first, dryRun: true })).changes[0]?.disposition,
      "requires restart",
    );
    await assert.rejects(handle.modify(first), (error) => {
      assert.ok(error instanceof CustomError);
      assert.match(error.message, /KEY is added.*suspended/);
      assert.match(error.hint, /fresh/);
      return true;
    });
    cli.environment["KEY"] = process.env["KEY"] = "first-value";
    const changed = await cli.msb("modify", "told", "--secret", "KEY@api.example.com", "--next-start");
    assert.equal(changed.code, 0, changed.stderr);
    assert.match(changed.stderr, /msb start --fresh told/);
    await assert.rejects(Sandbox.start("told"), /not told of the authority/);
    let again = await Sandbox.startDetached("told", { fresh: true });
    assert.equal((await again.shell("echo $KEY")).stdout(), "$MSB_KEY\n");
    // Another value is none of the guest's business.
    await again.suspend();
    const rotated = await (await Sandbox.get("told")).modify({ secrets: { KEY: secret("second-value") } });
    assert.deepEqual([rotated.changes[0]?.disposition, rotated.warnings], ["next start", []]);
    again = await Sandbox.startDetached("told");
    assert.equal(again.startReport?.route, "continued");
    // Whoever says restart gives the memory up.
    await again.suspend();
    const added = { secrets: { NEW: secret("another-value") }, policy: "restart" } as const;
    assert.equal((await (await Sandbox.get("told")).modify(added)).applied, true);
    const restarted = await (await Sandbox.get("told")).connect();
    assert.equal((await restarted.shell("echo $KEY $NEW")).stdout(), "$MSB_KEY $MSB_NEW\n");
    await restarted.stop();
  },
);

test("msb says what is paused and suspended, and what it did not do", { timeout }, async () => {
  const sandbox = await Sandbox.builder("shown").image("localhost/base").memory(smallMemory).createDetached();
  await sandbox.pause();
  assert.match((await cli.msb("metrics", "shown")).stdout, /shown +paused +\d/);
  await sandbox.suspend();
  assert.match((await cli.msb("metrics", "shown")).stdout, /shown +suspended +-/);
  const stopped = await cli.msb("stop", "shown");
  assert.equal(stopped.code, 0);
  assert.match(stopped.stderr, /shown is suspended: nothing of it runs/);
  assert.equal((await Sandbox.get("shown")).status, "suspended");
  await Snapshot.builder("plain").fromSandbox("shown").create();
  const verified = await cli.msb("snapshot", "verify", "plain");
  assert.equal(verified.code, 0);
  assert.match(verified.stderr, /no digest/);
  assert.doesNotMatch(verified.stderr, /Verified/);
  await Sandbox.remove("shown");
});
