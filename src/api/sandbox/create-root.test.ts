import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { ImageError, InvalidConfigError, Sandbox } from "../index.ts";
import { checkRoot, registryOptions } from "./create-root.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-root-"));
  process.env["MSB_HOME"] = join(directory, "home");
  await mkdir(join(directory, "tree"));
  await writeFile(join(directory, "disk.raw"), "");
  await symlink("disk.raw", join(directory, "link.raw"));
});
after(() => rm(directory, { recursive: true }));

test("paths become absolute", async () => {
  const here = (name: string): string => relative(process.cwd(), join(directory, name));
  assert.deepEqual(await checkRoot({ kind: "bind", path: here("tree") }), {
    kind: "bind",
    path: join(directory, "tree"),
  });
  assert.deepEqual(await checkRoot({ kind: "disk", path: here("link.raw"), format: "raw", fstype: "ext4" }), {
    kind: "disk",
    path: join(directory, "link.raw"),
    format: "raw",
    fstype: "ext4",
  });
});

test("a root that cannot be one is refused before anything is made", async () => {
  await assert.rejects(
    Sandbox.builder("root").image(join(directory, "tree/missing")).create(),
    InvalidConfigError,
  );
  await assert.rejects(
    Sandbox.builder("root").image(join(directory, "missing.qcow2")).create(),
    InvalidConfigError,
  );
  await mkdir(join(directory, "directory.vmdk"), { recursive: true });
  await assert.rejects(
    Sandbox.builder("root").image(join(directory, "directory.vmdk")).create(),
    /is no disk image/,
  );
  await assert.rejects(
    Sandbox.builder("root")
      .imageWith((i) => i.bind(join(directory, "disk.raw")))
      .create(),
    /is no directory/,
  );
  await assert.rejects(Sandbox.builder("root").image("Alpine").create(), ImageError);
  assert.ok(!(await readdir(directory)).includes("home"));
});

test("a root disk in memory must fit into it", async () => {
  const create = Sandbox.builder("root")
    .image("localhost/base")
    .memory(128)
    .rootDisk((d) => d.tmpfs().size(129))
    .create();
  await assert.rejects(create, (error: unknown) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.message, /129 MiB.*128 MiB/);
    return true;
  });
});

test("certificates that cannot be read are refused before anything is fetched", async () => {
  await assert.rejects(
    Sandbox.builder("root")
      .image("127.0.0.1:1/app")
      .registry((r) => r.caCertsPath(join(directory, "missing.pem")))
      .create(),
    InvalidConfigError,
  );
  const damaged = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
  await assert.rejects(
    registryOptions({ insecure: false, caCerts: [damaged], caCertsCount: 1 }),
    InvalidConfigError,
  );
});

test("what was not said about the registry is left to config.json", async () => {
  const options = await registryOptions({ insecure: false, caCerts: [], caCertsCount: 0 });
  assert.deepEqual(options, { caCertificates: [] });
});
