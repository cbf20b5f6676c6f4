import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { run } from "../../guest/tools.ts";
import { guestDirectory } from "../../src/host/package-files.ts";
import { blob, scratch, sha256, type Layer } from "./images.ts";

/** The files of the embedded image as a layer, all of them root's: the bottom of images that can be booted. */
export async function busyboxLayer(): Promise<Layer> {
  await using directory = await scratch();
  const tree = join(directory.path, "tree");
  const tarFile = join(directory.path, "layer.tar");
  await run("mkdir", [tree]);
  await run("fsck.erofs", [`--extract=${tree}`, join(guestDirectory(), "base.erofs")]);
  await run("tar", ["--sort=name", "--owner=0", "--group=0", "--mtime=@0", "-C", tree, "-cf", tarFile, "."]);
  const tar = await readFile(tarFile);
  return {
    tar,
    blob: blob("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 1 })),
    diffId: sha256(tar),
  };
}
