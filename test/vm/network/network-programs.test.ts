import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import type { Sandbox } from "../../../src/index.ts";
import type { Needs } from "../tags.ts";
import { furnish, onTheInternet, said, useInternet } from "./network-support.ts";
import { addNames, programRows } from "./program-rows.ts";

export const needs: Needs = ["running", "internet"];

// Debian's own programs in a guest with the default policy, against Debian's own servers outside.

const { internet } = await useInternet({ packages: true, daemons: ["ssh", "redis", "iperf", "postgres"] });
let sandbox: Sandbox;
before(async () => {
  addNames(internet.resolver);
  // npm's own directory is behind the link on the PATH.
  const npm = join(dirname(realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim())), "..");
  sandbox = await onTheInternet("programs")
    .volume("/node", (m) => m.bind(dirname(process.execPath)).readonly())
    .volume("/npm", (m) => m.bind(npm).readonly())
    .volume("/undici", (m) => m.bind(join(import.meta.dirname, "../../../node_modules/undici")).readonly())
    .create();
  await furnish(sandbox, internet);
  await sandbox.fs().write("/tmp/key", readFileSync(join(internet.tree.root, "srv/key")));
});

for (const { name, script, prints } of programRows) {
  test(name, { timeout: 120_000 }, async () => {
    const text = await said(sandbox, script);
    if (typeof prints === "string") assert.equal(text, prints);
    else assert.match(text, prints);
  });
}
