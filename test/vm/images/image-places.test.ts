import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Image, Sandbox } from "../../../src/index.ts";
import { busyboxLayer } from "../../registry/busybox.ts";
import { blob, image, sha256, writeLayout, type Layer } from "../../registry/images.ts";
import { archive, tarEntry, type TarFields } from "../../support/tar-builder.ts";
import { smallMemory, timeout } from "../lifecycle-support.ts";
import { assertClean, output } from "./root-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots", "disks"];

// Images that have something of their own where the agent writes and mounts.

const home = useTemporaryHome();
const bigBytes = 48 << 20;
let busybox: Layer;

function layerOf(...entries: readonly TarFields[]): Layer {
  const tar = archive(...entries.map(tarEntry));
  const stored = gzipSync(tar, { level: 1 });
  return { tar, diffId: sha256(tar), blob: blob("application/vnd.oci.image.layer.v1.tar+gzip", stored) };
}

async function load(name: string, layer: Layer, config: object): Promise<string> {
  const directory = join(home, name);
  const env = { Env: ["PATH=/bin:/usr/bin"] };
  await writeLayout(directory, image([busybox, layer], { config: { ...env, ...config } }), "1");
  await Image.load(directory, { tag: `test/${name}:1` });
  return `test/${name}:1`;
}

const builder = (name: string, reference: string): ReturnType<typeof Sandbox.builder> =>
  Sandbox.builder(name).image(reference).pullPolicy("never").memory(smallMemory);

before(async () => {
  busybox = await busyboxLayer();
});

test(
  "what an image has in /run and /tmp is there, and is there again after a restart",
  { timeout },
  async () => {
    const reference = await load(
      "content",
      layerOf(
        { name: "run", type: "5", mode: 0o775, gid: 60 },
        { name: "run/mysqld", type: "5", mode: 0o2775, uid: 999, gid: 998, mtime: 1_000_000 },
        { name: "run/mysqld/latest", type: "2", link: "../mysqld" },
        { name: "tmp/entry.sh", mode: 0o755, data: "#!/bin/sh\necho entered\n" },
        // More than its memory has room for.
        { name: "tmp/big", data: Buffer.alloc(bigBytes) },
      ),
      { WorkingDir: "/made/for it" },
    );
    const look = `
    pwd; stat -c '%a %u %g' . /run; stat -c '%a %u %g %Y' /run/mysqld; readlink /run/mysqld/latest
    /tmp/entry.sh; wc -c < /tmp/big; df -m /tmp | awk 'END { print $2 }'`;
    const seen = [
      ...["/made/for it", "755 0 0", "775 0 60", "2775 999 998 1000000", "../mysqld"],
      ...["entered", String(bigBytes), String(smallMemory / 4)],
    ];
    const sandbox = await builder("content", reference).create();
    assert.deepEqual((await output(sandbox, look)).split("\n"), seen);
    await output(sandbox, "rm -r /tmp/entry.sh /run/mysqld; echo new > /tmp/new; cat /tmp/new");
    await sandbox.stop();
    await assertClean(join(home, "sandboxes", "content", "upper.img"));
    const again = await Sandbox.start("content");
    assert.deepEqual((await output(again, look)).split("\n"), seen);
    assert.equal(await output(again, "ls /tmp | sort | tr '\\n' ' '"), "big entry.sh");
    // What the documentation says of such a /tmp: it is the second overlay, and the kernel takes no third.
    const stack = `
      mkdir /tmp/l /dev/shm/l /dev/shm/u /dev/shm/w /dev/shm/m
      for lower in /tmp/l /dev/shm/l /etc; do
        options=lowerdir=$lower,upperdir=/dev/shm/u,workdir=/dev/shm/w
        if mount -t overlay -o $options none /dev/shm/m 2> /dev/null; then echo $lower; umount /dev/shm/m; fi
      done`;
    assert.equal(await output(again, stack), "/dev/shm/l\n/etc");
    await again.kill();
  },
);

test(
  "files, links and directories in the way are replaced, and what links lead to stays",
  { timeout },
  async () => {
    const reference = await load(
      "in-the-way",
      layerOf(
        { name: "data/victim", data: "mine\n" },
        { name: "etc/hosts", type: "2", link: "/data/victim" },
        { name: "etc/hostname", type: "2", link: "../data/nothing" },
        { name: "etc/machine-id", type: "5" },
        { name: "etc/machine-id/inner", data: "" },
        { name: "etc/profile.d", type: "2", link: "/data" },
        { name: "tmp", type: "2", link: "/data/nothing" },
        { name: "run", type: "6" },
        { name: "proc", type: "2", link: "data" },
        { name: ".msb", type: "2", link: "/data" },
      ),
      {},
    );
    const look =
      "ls -A /data; cat /data/victim /etc/hostname; grep -c in-the-way /etc/hosts; stat -c %F /tmp /run";
    const seen = "victim\nmine\nin-the-way\n1\ndirectory\ndirectory";
    const sandbox = await builder("in-the-way", reference).create();
    assert.equal(await output(sandbox, look), seen);
    assert.match(await output(sandbox, "cat /etc/machine-id"), /^[0-9a-f]{32}$/);
    // As a user may leave it.
    await output(sandbox, "ln -sf /data/victim /etc/hosts; rm /etc/hostname; mkfifo /etc/hostname");
    await sandbox.stop();
    const again = await Sandbox.start("in-the-way");
    assert.equal(await output(again, look), seen);
    await again.kill();
  },
);

test(
  "directories that are links: /etc gets its own files, /tmp and /run are where the image wants them",
  { timeout },
  async () => {
    const reference = await load(
      "links",
      layerOf(
        { name: "data/etc/hosts", data: "mine\n" },
        { name: "data/etc/passwd", data: "someone:x:1234:1234::/:/bin/sh\n" },
        { name: "data/kept", data: "kept\n" },
        { name: "etc", type: "2", link: "data/etc" },
        { name: "tmp", type: "2", link: "data" },
        { name: "run", type: "2", link: "/data" },
      ),
      { User: "someone" },
    );
    await using sandbox = await builder("links", reference).create();
    assert.equal(
      await output(sandbox, "id -u; cat /data/etc/hosts /tmp/kept /run/kept; ls /data; tail -n 1 /etc/hosts"),
      "1234\nmine\nkept\nkept\netc\nkept\n127.0.1.1\tlinks",
    );
  },
);
