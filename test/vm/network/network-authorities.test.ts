import assert from "node:assert/strict";
import { test } from "node:test";
import { hostRoots } from "../../../src/certificates/upstream-trust.ts";
import { Sandbox } from "../../../src/index.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

useTemporaryHome();

test("with trustHostCAs the guest has all authorities of the host, before its first command, and without it none", async () => {
  for (const trusts of [true, false]) {
    await using sandbox = await Sandbox.builder(`authorities-${String(trusts)}`)
      .image("localhost/base")
      .network((n) => n.trustHostCAs(trusts))
      .create();
    const found = await sandbox.shell("cat /.msb/tls/host-cas.pem 2>&1");
    const count = found.stdout().match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0;
    assert.equal(count, trusts ? hostRoots().length : 0);
  }
});
