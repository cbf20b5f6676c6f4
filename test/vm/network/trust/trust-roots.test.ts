import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../../../../guest/tools.ts";
import { homeAuthority, rotateAuthority } from "../../../../src/certificates/authority.ts";
import { NetworkPolicy, Sandbox, type SandboxBuilder } from "../../../../src/index.ts";
import { locateHome } from "../../../../src/store/home.ts";
import { busyboxTree } from "../../images/root-support.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { said, succeeds } from "../network-support.ts";
import { installGoProgram, SignedServer } from "./trust-support.ts";

export const needs: Needs = ["boots", "internet", "disk-full"];

// Roots that have little or nothing of certificates, or that are not to be written to, with a program that looks where all do.

const timeout = 240_000;
const directory = useTemporaryHome();
const home = locateHome();
const tools = join(directory, "tools");
const bundle = "etc/ssl/certs/ca-certificates.crt";
let server: SignedServer;
before(async () => {
  await mkdir(tools);
  await installGoProgram(tools);
  server = await SignedServer.start(await homeAuthority(home));
});
after(() => server[Symbol.asyncDispose]());

function guest(name: string, image: string): SandboxBuilder {
  return Sandbox.builder(name)
    .image(image)
    .memory(256)
    .cpus(1)
    .volume("/mnt", (m) => m.bind(tools).readonly())
    .network((n) => n.tls((t) => t).policy(NetworkPolicy.allowAll()));
}

const ask = (): string => `/mnt/go-get ${server.origin}/ 2>&1`;
const askBare = (): string => `env -i ${ask()}`;

/** A root of the user's, with a bundle of his own or without. */
async function treeOf(name: string, text: string | null): Promise<string> {
  const tree = await busyboxTree(join(directory, name));
  await mkdir(join(tree, "mnt"), { recursive: true });
  if (text !== null) {
    await mkdir(join(tree, "etc/ssl/certs"), { recursive: true });
    await writeFile(join(tree, bundle), text);
  }
  return tree;
}

/** All places of certificates that there are in a directory of the host's. */
async function names(tree: string): Promise<string[]> {
  const all = (await run("find", [tree])).toString().split("\n");
  return all.filter((path) => /\/(?:ssl|pki|certs|ca-.*|microsandbox-.*)$/.test(path)).sort();
}

test("an image that has no certificates gets a bundle, also when its disk is full", { timeout }, async () => {
  const first = await guest("none", "localhost/base").rootDisk(64).create();
  assert.equal(await said(first, askBare()), "trusted");
  // A little is left, for what the agent writes at each start and what ext4 keeps for itself, and not for a bundle of this size.
  const fill = "dd if=/dev/zero of=/fill bs=1M; dd if=/dev/zero of=/rest bs=512";
  await said(
    first,
    `head -c 3000000 /dev/zero | tr "\\0" "#" >> /${bundle}; dd if=/dev/zero of=/spare bs=1k count=1024; sync; ${fill}; rm /spare`,
  );
  await first.stop();
  await server[Symbol.asyncDispose]();
  server = await SignedServer.start(await rotateAuthority(home));
  const again = await (await Sandbox.get("none")).start();
  assert.equal(await said(again, `grep -c " /${bundle} " /proc/mounts`), "1");
  assert.equal(await said(again, `grep -c BEGIN /${bundle}`), "1");
  assert.equal(await said(again, askBare()), "trusted");
  await again.kill();
});

test("a directory of the host's is not written to", { timeout }, async () => {
  const tree = await treeOf("tree", "# mine\n");
  const before = await names(tree);
  const sandbox = await guest("bound", tree).create();
  assert.equal(await said(sandbox, askBare()), "trusted");
  assert.match(await succeeds(sandbox, `cat /${bundle}`), /^# mine\n-----BEGIN CERTIFICATE/);
  await sandbox.stop();
  assert.deepEqual(await names(tree), before);
  assert.equal(await readFile(join(tree, bundle), "utf8"), "# mine\n");
});

test("nor is one that has no bundle: there the variables say it", { timeout }, async () => {
  const tree = await treeOf("plain", null);
  const before = await names(tree);
  const sandbox = await guest("plain", tree).create();
  assert.equal(await said(sandbox, ask()), "trusted");
  assert.match(
    await said(sandbox, askBare()),
    /certificate signed by unknown authority|failed to load system roots/,
  );
  await sandbox.stop();
  assert.deepEqual(await names(tree), before);
});

test("a root that cannot be written", { timeout }, async () => {
  const tree = await treeOf("frozen", "");
  const frozen = join(directory, "ro");
  await mkdir(frozen);
  await run("mount", ["--bind", tree, frozen]);
  try {
    await run("mount", ["-o", "remount,bind,ro", frozen]);
    const sandbox = await guest("frozen", frozen).create();
    assert.equal(await said(sandbox, askBare()), "trusted");
    await sandbox.kill();
  } finally {
    await run("umount", [frozen]);
  }
});
