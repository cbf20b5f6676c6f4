import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { homeAuthority } from "../../../../src/certificates/authority.ts";
import { NetworkPolicy, Sandbox } from "../../../../src/index.ts";
import { locateHome } from "../../../../src/store/home.ts";
import { treeOf } from "../../../internet/debian-tree.ts";
import { debianTar } from "../../../registry/debian.ts";
import { useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { SignedServer } from "./trust-support.ts";

export const needs: Needs = ["running", "internet"];

// Debian's browsers take a minute and more in an emulated guest. So they run on the host, in a root of their own that has the files
// which a guest was given.

const timeout = 240_000;
const directory = useTemporaryHome();
const run = promisify(execFile);

const recipe = [
  "--variant=minbase",
  "--include=chromium,firefox-esr",
  ...["doc/*", "man/*", "locale/*", "fonts/*"].map((path) => `--dpkgopt=path-exclude=/usr/share/${path}`),
  ...["libLLVM*", "libz3*"].map((path) => `--dpkgopt=path-exclude=/usr/lib/*/${path}`),
  "bookworm",
];

const policy = "/etc/chromium/policies/managed/00-microsandbox-ca.json";
const firefoxPolicy = "/etc/firefox/policies/policies.json";
const authorityFile = "/.msb/tls/ca.pem";
const databases = ["cert9.db", "key4.db"].map((name) => `/root/.pki/nssdb/${name}`);

let server: SignedServer;
let tree: string;
/** What the guest has in these places. */
const given = new Map<string, Buffer>();

before(async () => {
  tree = await treeOf(await debianTar(recipe));
  server = await SignedServer.start(await homeAuthority(locateHome()));
  await using guest = await Sandbox.builder("browsers")
    .image("localhost/base")
    .memory(256)
    .cpus(1)
    .network((n) => n.tls((t) => t).policy(NetworkPolicy.allowAll()))
    .create();
  for (const path of [policy, firefoxPolicy, authorityFile, ...databases])
    given.set(path, Buffer.from(await guest.fs().read(path)));
});
after(() => server[Symbol.asyncDispose]());

/** Runs a program in a copy of the tree that has files of the guest's. @returns what it prints, whatever it ends with */
async function inRoot(name: string, paths: readonly string[], script: string): Promise<string> {
  const files = join(directory, name);
  await mkdir(files);
  for (const path of paths) {
    await mkdir(dirname(join(files, path)), { recursive: true });
    await writeFile(join(files, path), given.get(path) ?? "");
  }
  const steps = [
    `mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work /mnt/root`,
    `mount -t overlay -o lowerdir=${tree},upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root`,
    `cp -a ${files}/. /mnt/root/; mount -t proc none /mnt/root/proc`,
    `mount -t tmpfs none /mnt/root/dev; mount -t tmpfs none /mnt/root/tmp; mkdir -m 1777 /mnt/root/dev/shm`,
    `for one in null zero random urandom; do touch /mnt/root/dev/$one; mount --bind /dev/$one /mnt/root/dev/$one; done`,
    `exec chroot /mnt/root env -i PATH=/usr/bin:/bin HOME=/root timeout 100 sh -c '${script} 2>&1'`,
  ];
  const inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", steps.join("\n")];
  const { stdout } = await run(inside[0] as string, inside.slice(1)).catch(
    (error: unknown) => error as { readonly stdout: string },
  );
  return stdout;
}

const url = (path: string): string => `https://localhost:${new URL(server.origin).port}${path}`;
const chromium = (path: string): string =>
  `chromium --headless --no-sandbox --disable-gpu --dump-dom ${url(path)}`;

test("Chromium believes a policy", { timeout }, async () => {
  assert.match(await inRoot("nothing", [], chromium("/nothing")), /ERR_CERT_AUTHORITY_INVALID/);
  assert.match(await inRoot("policy", [policy], chromium("/policy")), />trusted</);
});

test("and a database of NSS's, which it leaves as it is", { timeout }, async () => {
  const [path = ""] = databases;
  const text = await inRoot("database", databases, `${chromium("/database")}; sha256sum < ${path}`);
  const before = createHash("sha256").update(given.get(path) ?? "");
  assert.match(text, new RegExp(`>trusted<[^]*${before.digest("hex")}`));
});

test("Firefox believes a policy", { timeout }, async () => {
  const script = `firefox-esr --headless --screenshot /tmp/page.png ${url("/firefox")}`;
  await inRoot("firefox", [firefoxPolicy, authorityFile], script);
  assert.ok(server.asked.some((one) => /^\/firefox .*Firefox/.test(one)));
});
