import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { makeDebianImage, pushDebianImage, type DebianImage } from "../../registry/debian.ts";
import { scratch } from "../../registry/images.ts";
import { RegistryServer } from "../../registry/registry-server.ts";
import { MsbHome } from "../cli/cli-support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "registry"];

// A whole Debian, made by Debian's own tools, from a registry into a machine: what the guest sees is what umoci unpacks.
// As root, because umoci gives files to the users that the image says.

const run = promisify(execFile);
const home = new MsbHome();
let directory: Awaited<ReturnType<typeof scratch>>;
let registry: RegistryServer;
let image: DebianImage;
let name = "";

before(async () => {
  directory = await scratch();
  image = await makeDebianImage(directory.path);
  registry = await RegistryServer.start(directory.path);
  name = `${registry.host}/python:3.12`;
  await pushDebianImage(image, name);
});

after(async () => {
  await home[Symbol.asyncDispose]();
  // `before` may have failed half way.
  await (registry as RegistryServer | undefined)?.[Symbol.asyncDispose]();
  await (directory as typeof directory | undefined)?.[Symbol.asyncDispose]();
});

/**
 * Each file of the tree in which it runs: type, mode, owner, size, time, number of names, device or target of the link, its
 * checksum, its capabilities. Left out is what a running guest has of its own, and the times of directories.
 */
const describeTree = `
set -eu
export LC_ALL=C
own='./proc ./sys ./dev ./tmp ./run ./.msb ./etc/hosts ./etc/hostname ./etc/resolv.conf ./etc/machine-id ./etc/profile.d/microsandbox.sh'
prune=
for path in $own; do prune="$prune -path $path -o"; done
find . -xdev \\( $prune -false \\) -prune -o -type d -printf '%y %m %U %G %p\\n' -o \
  -printf '%y %m %U %G %s %T@ %n %l %p\\n' | sort
find . -xdev \\( $prune -false \\) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
`;

test("msb run REGISTRY/python:3.12 -- python3 -c 'print(1)' prints 1", async () => {
  const first = await home.msb("run", name, "--", "python3", "-c", "print(1)");
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stdout, "1\n");
  assert.match(first.stderr, /: downloaded, /);
});

test("the made root file system passes fsck.erofs", async () => {
  const directoryOfImages = join(home.path, "images", "rootfs");
  const files = (await readdir(directoryOfImages)).filter((file) => file.endsWith(".erofs"));
  assert.equal(files.length, 1);
  await run("fsck.erofs", [join(directoryOfImages, files[0] ?? "")]);
});

test("without the registry the stored image is used, and the guest sees what umoci unpacks", async () => {
  await registry[Symbol.asyncDispose]();
  const bundle = join(directory.path, "bundle");
  await run("umoci", ["unpack", "--image", `${image.layout}:${image.tag}`, bundle], { maxBuffer: 1 << 26 });
  const expected = await run("sh", ["-c", describeTree], {
    cwd: join(bundle, "rootfs"),
    maxBuffer: 1 << 26,
  });
  const inside = await home.msb("run", name, "-w", "/", "--", "sh", "-c", describeTree);
  assert.equal(inside.code, 0, inside.stderr);
  const [here, there] = [expected.stdout, inside.stdout].map((text) => text.split("\n"));
  assert.ok((here ?? []).length > 10_000, String((here ?? []).length));
  const seen = new Set(there);
  const wanted = new Set(here);
  assert.deepEqual(
    {
      missing: [...wanted].filter((line) => !seen.has(line)),
      extra: [...seen].filter((line) => !wanted.has(line)),
    },
    { missing: [], extra: [] },
  );
});

test("files of the upper layers run, and keep their modes", async () => {
  const { code, stdout, stderr } = await home.msb(
    "run",
    name,
    "--",
    "sh",
    "-c",
    "/opt/added/hello && stat -c %a /opt/added/hello && ls /usr/share/doc",
  );
  assert.equal(stdout, "hello from a layer\n4755\n", stderr);
  assert.notEqual(code, 0, "the directory that the last layer removes is not there");
});

test("--root-disk: a size, memory, and what is not there yet", async () => {
  const size = async (disk: string): Promise<number> => {
    const result = await home.msb("run", "--root-disk", disk, name, "--", "df", "--output=size", "-m", "/");
    assert.equal(result.code, 0, result.stderr);
    return Number(result.stdout.split("\n")[1]);
  };
  // ext4 keeps some for itself.
  const managed = await size("200M");
  assert.ok(managed > 150 && managed <= 200, String(managed));
  assert.equal(await size("tmpfs:64M"), 64);
  const flat = await home.msb("run", "--root-disk", "flat:8G", name, "--", "true");
  assert.equal(flat.code, 125);
  assert.match(flat.stderr, /^error: this version of microsandbox does not have the root disk flat/);
});

test("an image in use is kept; by force its name goes, and the sandbox starts all the same", async () => {
  const succeed = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await home.msb(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await succeed("create", "-n", "user", name);
  const refused = await home.msb("rmi", name);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is used by the sandbox user/);
  await succeed("rmi", "-f", name);
  assert.equal(await succeed("images", "-q"), "");
  await succeed("stop", "user");
  await succeed("image", "prune", "-y", "-q");
  assert.equal(await succeed("exec", "user", "--", "python3", "-c", "print(2)"), "2\n");
  await succeed("rm", "-f", "user");
});
