import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import {
  InvalidConfigError,
  Sandbox,
  UnsupportedOperationError,
  type SandboxBuilder,
  type SandboxConfig,
} from "../index.ts";
import { draftFromConfig } from "../../config/sandbox/config-object.ts";
import { effectiveConfig } from "../../config/sandbox/effective-config.ts";

const certificate = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
const builder = (): SandboxBuilder => Sandbox.builder("settings").image("alpine");
const fromObject = (input: object): SandboxConfig =>
  draftFromConfig({ name: "settings", image: "alpine", ...input }).finish();

test("imageWith names each kind of root", () => {
  const source = (set: Parameters<SandboxBuilder["imageWith"]>[0]): unknown =>
    Sandbox.builder("settings").imageWith(set).build().image;
  assert.deepEqual(
    source((i) => i.oci("disk.raw")),
    { kind: "oci", reference: "disk.raw" },
  );
  assert.deepEqual(
    source((i) => i.bind("rootfs")),
    { kind: "bind", path: "rootfs" },
  );
  assert.deepEqual(
    source((i) => i.disk("a/DISK.QCOW2").fstype("ext4")),
    { kind: "disk", path: "a/DISK.QCOW2", format: "qcow2", fstype: "ext4" },
  );
  assert.deepEqual(
    source((i) => i.fstype("btrfs").disk("a.vmdk")),
    { kind: "disk", path: "a.vmdk", format: "vmdk", fstype: "btrfs" },
  );
});

test("the root disk is the sandbox's, else the user's default for images", () => {
  const settings = { sandbox_defaults: { oci: { root_disk: { kind: "tmpfs" as const, size_mib: 99 } } } };
  const stored = (b: SandboxBuilder): unknown => effectiveConfig(b.build(), settings, null).rootDisk;
  assert.deepEqual(stored(builder()), { kind: "tmpfs", sizeMib: 99 });
  assert.deepEqual(stored(builder().rootDisk(8192)), { kind: "managed", sizeMib: 8192 });
  // What is written itself has none, so that none of its sizes can be wrong.
  assert.deepEqual(stored(builder().image("./directory")), { kind: "managed", sizeMib: 4096 });
});

test("the root disk is managed unless it is said otherwise", () => {
  const stored = (set: (b: SandboxBuilder) => SandboxBuilder): unknown =>
    effectiveConfig(set(builder()).build(), {}, null).rootDisk;
  assert.deepEqual(
    stored((b) => b),
    { kind: "managed", sizeMib: 4096 },
  );
  assert.deepEqual(
    stored((b) => b.rootDisk(8192)),
    { kind: "managed", sizeMib: 8192 },
  );
  assert.deepEqual(
    stored((b) => b.rootDisk((d) => d.size(100))),
    { kind: "managed", sizeMib: 100 },
  );
  assert.deepEqual(
    stored((b) => b.rootDisk((d) => d.tmpfs())),
    { kind: "tmpfs", sizeMib: null },
  );
  assert.deepEqual(
    stored((b) => b.rootDisk((d) => d.size(64).tmpfs())),
    { kind: "tmpfs", sizeMib: 64 },
  );
  assert.deepEqual(
    stored((b) => b.imageWith((i) => i.oci("alpine").upperSize(512))),
    { kind: "managed", sizeMib: 512 },
  );
  assert.deepEqual(
    stored((b) => b.imageWith((i) => i.oci("alpine").rootDisk((d) => d.tmpfs().size(32)))),
    { kind: "tmpfs", sizeMib: 32 },
  );
});

test("registry settings are gathered", () => {
  const { registry } = builder()
    .registry((r) =>
      r
        .auth({ kind: "basic", username: "me", password: "pass:word" })
        .insecure()
        .caCertsPath("ca.pem")
        .caCerts(certificate)
        .caCerts(Buffer.from(certificate)),
    )
    .build();
  assert.deepEqual(registry, {
    auth: { kind: "basic", username: "me", password: "pass:word" },
    insecure: true,
    caCertsPath: "ca.pem",
    caCerts: [certificate, certificate],
    caCertsCount: 2,
  });
  assert.deepEqual(
    builder()
      .registry((r) => r.auth({ kind: "anonymous" }))
      .build().registry?.auth,
    {
      kind: "anonymous",
    },
  );
});

test("the configuration object says the same", () => {
  const auth = { username: "me", password: "secret" };
  const basic = { kind: "basic", ...auth };
  assert.deepEqual(fromObject({ registryAuth: auth }).registry?.auth, basic);
  assert.deepEqual(fromObject({ registry: { auth } }).registry?.auth, basic);
  const both = fromObject({
    registryAuth: { username: "other", password: "other" },
    registry: { auth, insecure: true, caCertsPath: "/ca.pem" },
  });
  assert.deepEqual(both.registry, {
    auth: basic,
    insecure: true,
    caCertsPath: "/ca.pem",
    caCerts: [],
    caCertsCount: 0,
  });
  assert.equal(fromObject({ registry: null, registryAuth: null }).registry, null);
  assert.deepEqual(fromObject({ rootDisk: 100 }).rootDisk, { kind: "managed", sizeMib: 100 });
  assert.deepEqual(fromObject({ rootDisk: { kind: "tmpfs", sizeMib: null } }).rootDisk, {
    kind: "tmpfs",
    sizeMib: null,
  });
});

const mistakes: Readonly<Record<string, (b: SandboxBuilder) => SandboxBuilder>> = {
  "a disk image of an unknown format": (b) => b.imageWith((i) => i.disk("root.iso")),
  "a file system type for an image": (b) => b.imageWith((i) => i.oci("alpine").fstype("ext4")),
  "a file system type that is none": (b) => b.imageWith((i) => i.disk("a.raw").fstype("ext4,rw")),
  "an empty reference": (b) => b.imageWith((i) => i.oci("")),
  "an image without a source": (b) => b.imageWith((i) => i.rootDisk(100)),
  "a function that returns nothing": (b) => b.imageWith(() => undefined as never),
  "a root disk of nothing": (b) => b.rootDisk(0),
  "a root disk too small for a file system": (b) => b.rootDisk(15),
  "a root disk of nothing in memory": (b) => b.rootDisk((d) => d.tmpfs().size(0)),
  "a root disk larger than ext4": (b) => b.rootDisk(2 ** 40),
  "a root disk that is no number": (b) => b.rootDisk(Number.NaN),
  "a format of a managed disk": (b) => b.rootDisk((d) => d.format("raw")),
  "a root disk under a directory": (b) => b.image("/tmp").rootDisk(100),
  "a root disk under a disk image": (b) => b.imageWith((i) => i.disk("a.raw").rootDisk(100)),
  "a login of an unknown kind": (b) => b.registry((r) => r.auth({ kind: "token" } as never)),
  "a user name with a colon": (b) =>
    b.registry((r) => r.auth({ kind: "basic", username: "a:b", password: "secret" })),
  "a certificate that is none": (b) => b.registry((r) => r.caCerts("secret")),
};

for (const [what, set] of Object.entries(mistakes)) {
  test(`${what} is refused at the end, not before, without telling secrets`, () => {
    const wrong = set(builder());
    assert.throws(
      () => wrong.build(),
      (error: unknown) => {
        assert.ok(error instanceof InvalidConfigError, inspect(error));
        assert.ok(!inspect(error).includes("secret"));
        return true;
      },
    );
  });
}

test("fields that do not exist are refused", () => {
  for (const input of [
    { registry: { certs: "a" } },
    { rootDisk: { kind: "managed", size: 5 } },
    { registry: 5 },
  ])
    assert.throws(() => fromObject(input), InvalidConfigError);
});

test("root disks of later versions are named", () => {
  const named = (name: RegExp) => (error: unknown) =>
    error instanceof UnsupportedOperationError && name.test(error.message);
  assert.throws(
    () =>
      builder()
        .rootDisk((d) => d.flat().size(8192))
        .build(),
    named(/flat/),
  );
  assert.throws(
    () =>
      builder()
        .rootDisk((d) => d.disk("upper.qcow2").format("qcow2"))
        .build(),
    named(/disk\(\)/),
  );
  assert.throws(() => fromObject({ rootDisk: { kind: "flat" } }), named(/flat/));
});
