import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { timeout } from "../lifecycle-support.ts";
import { MsbHome } from "../cli/cli-support.ts";
import type { Needs } from "../tags.ts";
import { runtimeLog, templatesOf } from "./template-support.ts";

export const needs: Needs = ["template"];

test("msb pull --warm makes what the first sandbox starts from", { timeout }, async () => {
  await using home = new MsbHome({ ownTemplates: true });
  // Whatever mode the rest is tested in.
  home.environment["MSB_TEMPLATES"] = "on";
  const warmed = await home.msb("pull", "--warm", "localhost/base");
  assert.equal(warmed.code, 0, warmed.stderr);
  assert.match(warmed.stderr, /Warmed +localhost\/base/);
  const made = await templatesOf(home.path);
  assert.deepEqual(made.map(({ kind }) => kind).sort(), ["image", "machine"]);

  // Nothing is made any more: neither by the first sandbox nor by warming again.
  const created = await home.msb("--info", "create", "--name", "made", "localhost/base");
  assert.equal(created.code, 0, created.stderr);
  assert.match(await runtimeLog(home.path, "made"), /started from the image template/);
  await home.msb("rm", "--force", "made");
  const ran = await home.msb("run", "localhost/base", "--", "cat", "/proc/uptime");
  assert.equal(ran.code, 0, ran.stderr);
  const again = await home.msb("pull", "--warm", "localhost/base");
  assert.match(again.stderr, /it was/);
  assert.deepEqual(await templatesOf(home.path), made);
  const listed = await home.msb("template", "list", "--format", "json");
  assert.equal((JSON.parse(listed.stdout) as unknown[]).length, 2);
  const checked = await home.msb("doctor");
  assert.match(checked.stdout, /templates/);
  assert.doesNotMatch(checked.stdout, /not checked/);
});

const quickstart = (home: MsbHome): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)("sh", [join(import.meta.dirname, "..", "..", "..", "scripts", "quickstart.sh")], {
    env: home.environment,
  });

test("npm run quickstart works without templates too", { timeout }, async () => {
  await using home = new MsbHome({ ownTemplates: true });
  home.environment["MSB_TEMPLATES"] = "0";
  const { stdout, stderr } = await quickstart(home);
  assert.match(stdout, /its kernel has been up for/);
  assert.match(stderr, /turned off by MSB_TEMPLATES/);
  assert.deepEqual(await templatesOf(home.path), []);
});

test("npm run quickstart leaves what the next sandbox starts from", { timeout }, async () => {
  await using home = new MsbHome({ ownTemplates: true });
  home.environment["MSB_TEMPLATES"] = "on";
  const { stdout } = await quickstart(home);
  assert.match(stdout, /its kernel has been up for/);
  const created = await home.msb("--info", "create", "--name", "made", "localhost/base");
  assert.equal(created.code, 0, created.stderr);
  assert.match(await runtimeLog(home.path, "made"), /started from the image template/);
  assert.deepEqual((await templatesOf(home.path)).map(({ kind }) => kind).sort(), ["image", "machine"]);
  assert.doesNotMatch((await home.msb("doctor")).stdout, /not checked/);
});

test("msb pull --warm says when templates are turned off", { timeout }, async () => {
  await using home = new MsbHome({ ownTemplates: true });
  home.environment["MSB_TEMPLATES"] = "off";
  const warmed = await home.msb("pull", "--warm", "localhost/base");
  assert.equal(warmed.code, 1);
  assert.match(warmed.stderr, /templates are turned off/);
  assert.deepEqual(await templatesOf(home.path), []);
});
