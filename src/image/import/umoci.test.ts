/**
 * The same image, unpacked by umoci and imported by this package, compared entry by entry. The image's three layers
 * are made with GNU tar, setcap and setfattr from real files, and added with umoci. The kernel reads our image.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { importLayers } from "./import-layers.ts";
import type { LayerSource } from "./layer-source.ts";
import { defaultImportLimits } from "./limits.ts";
import { hasPrograms, run, workDirectory } from "../../../test/support/image-support.ts";

/** Why this machine cannot run the test; null when it can. */
async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "needs root: umoci gives files away, and the image is mounted";
  if (!(await hasPrograms("umoci", "setcap", "setfattr", "getfattr", "tar"))) {
    return "needs the Debian packages umoci, libcap2-bin, attr and tar";
  }
  const known = await readFile("/proc/filesystems", "utf8");
  return /\berofs\b/.test(known) ? null : "this kernel has no EROFS";
}

const low = `
  mkdir -p bin etc/a/b usr/lib usr/share/doc var/cache tmp opt/gone opt/opaque dev long
  chmod 1777 tmp; chmod 711 var/cache; chown 12:34 var/cache
  cp /bin/cat bin/cat; setcap cap_net_raw+ep bin/cat
  cp /bin/ls bin/su; chmod 4755 bin/su; chown 70000:100000 bin/su
  printf shared > usr/lib/one; ln usr/lib/one usr/lib/two; ln usr/lib/one etc/three
  printf kept > usr/lib/first; ln usr/lib/first usr/lib/second
  ln -s ../lib/one usr/share/link; ln -s /nowhere/at/all usr/share/dangling
  mknod dev/null c 1 3; mknod dev/disk b 259 70000; mkfifo dev/pipe; chmod 666 dev/null
  setfattr -n user.note -v 'a value' etc/a; setfattr -n trusted.own -v t usr/lib/two
  printf 'old config' > etc/config; printf 'deleted' > etc/deleted; printf x > opt/gone/file; printf x > opt/opaque/hidden
  truncate -s 5000000 var/sparse; printf end >> var/sparse; printf mid | dd of=var/sparse bs=1 seek=2000000 conv=notrunc status=none
  printf n > long/$(printf 'n%.0s' $(seq 255)); mkdir -p long/$(printf 'd%.0s' $(seq 200))/$(printf 'e%.0s' $(seq 200))
  printf deep > long/$(printf 'd%.0s' $(seq 200))/$(printf 'e%.0s' $(seq 200))/file
  mkdir many; cd many; seq 3000 | xargs touch; cd ..
  head -c 3000001 /dev/urandom > usr/share/doc/random
  touch -d '2001-02-03 04:05:06.123456789' etc/config; touch -d '1969-12-31 23:00:00.5' etc/a; touch -h -d '2010-01-01' usr/share/link
`;
const middle = `
  mkdir -p etc opt/opaque usr/lib
  printf 'new config' > etc/config; chown 5:6 etc/config; touch etc/.wh.deleted opt/.wh.gone opt/opaque/.wh..wh..opq
  printf fresh > opt/opaque/shown; printf replaced > usr/lib/first
  mkdir etc/three; printf 'a directory now' > etc/three/inside
`;
const high = `
  mkdir -p usr; printf 'a file now' > many; touch usr/.wh.share; mkdir -p usr/share/new; printf back > usr/share/new/x
  ln -s usr/lib lib; mkdir opt; printf late > opt/late
`;

test("the import of an image is what umoci unpacks", { timeout: 300_000 }, async (t) => {
  const reason = await whyNot();
  if (reason !== null) {
    t.skip(reason);
    return;
  }
  await using work = await workDirectory();
  await run("umoci", ["init", "--layout", "oci"], work.path);
  await run("umoci", ["new", "--image", "oci:test"], work.path);
  const formats = ["pax", "gnu", "pax"];
  for (const [index, script] of [low, middle, high].entries()) {
    const layer = join(work.path, `layer${index}`);
    await mkdir(layer);
    await run("sh", ["-e", "-c", script], layer);
    const tar = `${layer}.tar`;
    const attributes = formats[index] === "pax" ? ["--xattrs", "--xattrs-include=*"] : [];
    // In order of names, whiteouts come first: umoci loses a directory's time when it deletes in it later.
    await run("tar", [
      "--sort=name",
      `--format=${formats[index] ?? ""}`,
      "-S",
      ...attributes,
      "-C",
      layer,
      "-cf",
      tar,
      ".",
    ]);
    await run("umoci", ["raw", "add-layer", "--image", "oci:test", tar], work.path);
  }
  await run("umoci", ["unpack", "--image", "oci:test", "bundle"], work.path);
  const image = join(work.path, "image");
  await importLayers(await layersOf(join(work.path, "oci")), image, defaultImportLimits);
  if (await hasPrograms("fsck.erofs")) await run("fsck.erofs", ["--extract", image]);
  await using mounted = await mount(image, join(work.path, "mounted"));
  const ours = await listing(mounted.path);
  const theirs = await listing(join(work.path, "bundle/rootfs"));
  assert.ok(theirs.size > 30 && theirs.size < 100, `${theirs.size} entries: many is a file now`);
  for (const path of new Set([...ours.keys(), ...theirs.keys()])) {
    assert.deepEqual({ path, ...ours.get(path) }, { path, ...theirs.get(path) });
  }
  assert.deepEqual(theirs.get("usr/lib/two")?.["sharedWith"], "usr/lib/one", "hard links were compared");
  assert.match(JSON.stringify(theirs.get("bin/cat")?.["xattrs"]), /security\.capability/);
});

interface Manifest {
  readonly layers: readonly { readonly digest: string }[];
  readonly config: { readonly digest: string };
}

/** The layers of the only image of an OCI layout. */
async function layersOf(layout: string): Promise<LayerSource[]> {
  const blob = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const json = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, "utf8"));
  const index = (await json(join(layout, "index.json"))) as { manifests: { digest: string }[] };
  const manifest = (await json(blob(index.manifests[0]?.digest ?? ""))) as Manifest;
  const config = (await json(blob(manifest.config.digest))) as { rootfs: { diff_ids: string[] } };
  return manifest.layers.map(({ digest }, at) => ({
    open: () => createReadStream(blob(digest)),
    diffId: config.rootfs.diff_ids[at] ?? "",
    description: digest,
  }));
}

async function mount(image: string, at: string): Promise<AsyncDisposable & { readonly path: string }> {
  await mkdir(at);
  await run("mount", ["-t", "erofs", "-o", "loop,ro", image, at]);
  return {
    path: at,
    [Symbol.asyncDispose]: async () => {
      await run("umount", [at]);
    },
  };
}

type Listed = Record<string, unknown>;

/** All that can be told of the files below a directory. */
async function listing(directory: string): Promise<Map<string, Listed>> {
  const found = new Map<string, Listed>();
  const firstNames = new Map<bigint, string>();
  const xattrs = await attributesBelow(directory);
  const names = (await run("find", [".", "-mindepth", "1", "-printf", "%P\\0"], directory))
    .split("\0")
    .sort();
  for (const path of names.slice(1)) {
    const full = join(directory, path);
    const stat = await lstat(full, { bigint: true });
    const isDirectory = stat.isDirectory();
    const sharedWith = isDirectory ? undefined : firstNames.get(stat.ino);
    if (!isDirectory && sharedWith === undefined) firstNames.set(stat.ino, path);
    found.set(path, {
      mode: stat.mode.toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      mtime: stat.mtimeNs,
      links: stat.nlink,
      size: isDirectory ? undefined : stat.size,
      device: stat.isFile() || isDirectory || stat.isSymbolicLink() ? undefined : stat.rdev,
      sharedWith,
      target: stat.isSymbolicLink() ? await readlink(full) : undefined,
      sha256: stat.isFile()
        ? createHash("sha256")
            .update(await readFile(full))
            .digest("hex")
        : undefined,
      xattrs: xattrs.get(path),
    });
  }
  return found;
}

async function attributesBelow(directory: string): Promise<Map<string, string[]>> {
  const output = await run("getfattr", ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."], directory);
  const found = new Map<string, string[]>();
  for (const part of output.split("\n\n")) {
    const [head = "", ...lines] = part.trim().split("\n");
    if (head !== "") found.set(head.replace("# file: ", ""), lines.sort());
  }
  return found;
}
