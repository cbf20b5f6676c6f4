import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { appletPaths, buildBaseImage } from "./base-image.ts";
import { fetchPackage } from "./debian.ts";
import { currentPackages } from "./packages.ts";
import { hostTarget } from "./target.ts";
import { run, sha256File } from "./tools.ts";

// Uses the package that `npm run build` left in guest/.cache; without it, it is fetched first.

const cache = fileURLToPath(new URL(".cache", import.meta.url));
let directory = "";
let deb = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "base-image-"));
  deb = await fetchPackage((await currentPackages(hostTarget(), cache)).busybox, cache);
});
after(() => rm(directory, { recursive: true, force: true }));

async function build(name: string): Promise<string> {
  const work = join(directory, name);
  await mkdir(work);
  const image = join(directory, `${name}.erofs`);
  await buildBaseImage(deb, work, image);
  return image;
}

test("the same package gives the same image, and others' tools find nothing wrong with it", async () => {
  const [first, second] = [await build("first"), await build("second")];
  assert.equal(await sha256File(first), await sha256File(second));
  await run("fsck.erofs", [first]);
  const describe = async (path: string): Promise<string> =>
    (await run("dump.erofs", [`--path=${path}`, first])).toString();
  assert.match(await describe("/"), /^Uid: 0\s+Gid: 0\s+Access: 0755/m);
  assert.match(await describe("/home/sandbox"), /^Uid: 1000\s+Gid: 1000\s+Access: 0755/m);
  // It does not show the sticky bit; `test/vm/images/base-image.test.ts` looks at that.
  assert.match(await describe("/tmp"), /^Uid: 0\s+Gid: 0\s+Access: 0777/m);
  assert.match(await describe("/etc/shadow"), /^Uid: 0\s+Gid: 0\s+Access: 0600/m);
});

test("which packages are current is decided in a cache that is not there yet, and known from then on", async () => {
  const fresh = join(directory, "not", "there");
  const decided = await currentPackages(hostTarget(), fresh);
  assert.match(decided.busybox.sha256, /^[0-9a-f]{64}$/);
  assert.deepEqual(await currentPackages(hostTarget(), fresh), decided);
});

test("applets are linked where PATH looks, and nowhere else", () => {
  assert.deepEqual(appletPaths("bin/sh\nbin/busybox\nsbin/init\nlinuxrc\nusr/bin/awk\n"), [
    "bin/sh",
    "sbin/init",
    "usr/bin/awk",
  ]);
});
