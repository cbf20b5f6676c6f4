import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { InvalidConfigError } from "../../errors/index.ts";
import { draftFromConfig } from "../sandbox/config-object.ts";
import type { SandboxConfig } from "../sandbox/sandbox-config.ts";
import { inMountOrder } from "./guest-mount-path.ts";
import { MountBuilder } from "./mount-builder.ts";
import { Mount, mountFromConfig, type MountConfig } from "./mount-config.ts";
import { mountsSchema } from "./mounts-setting.ts";
import { providersFor, providersOf } from "./provider-mounts.ts";
import type { ProviderMount, VolumeMount } from "./volume-mount.ts";
import type { FileProvider } from "../../provider/file-provider.ts";

const plain = { readonly: false, noexec: false, nosuid: false, nodev: false };
const at = (path: string): MountBuilder => new MountBuilder(path);

function isRefused(make: () => unknown, pattern: RegExp): void {
  assert.throws(make, (error) => {
    assert.ok(error instanceof InvalidConfigError, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}

const readingMethods = {
  stat: async () => ({ kind: "directory" as const }),
  list: async () => [],
  read: async () => new Uint8Array(0),
};
const writable = (): FileProvider => ({ ...readingMethods, write: async () => undefined });

test("the last kind counts, and the object says the same", () => {
  const cases: readonly (readonly [VolumeMount, MountBuilder, MountConfig])[] = [
    [
      { kind: "tmpfs", guest: "/a", ...plain, sizeMib: 64, noexec: true },
      at("/a").bind("/x").tmpfs().size(64.9).noexec(),
      Mount.tmpfs({ sizeMib: 64, noexec: true }),
    ],
    [
      { kind: "disk", guest: "/a", ...plain, host: "./x.QCOW2", format: "qcow2", fstype: null },
      at("/a").disk("./x.QCOW2"),
      Mount.disk("./x.QCOW2"),
    ],
    [
      { kind: "disk", guest: "/a", ...plain, host: "x.img", format: "raw", fstype: "ext4", readonly: true },
      at("/a").disk("x.img").fstype("ext4").readonly(),
      Mount.disk("x.img", { fstype: "ext4", readonly: true }),
    ],
    [
      { kind: "named", guest: "/a", ...plain, name: "n", nosuid: true, nodev: true },
      at("/a").named("n").nosuid().nodev(),
      Mount.named("n", { nosuid: true, nodev: true }),
    ],
    [
      {
        kind: "named",
        guest: "/a",
        ...plain,
        name: "n",
        namedMode: "create",
        namedKind: "disk",
        sizeMib: 16,
      },
      at("/a").namedWith("n", "create", "disk", 16),
      Mount.named("n", { mode: "create", kind: "disk", sizeMib: 16 }),
    ],
    [
      { kind: "bind", guest: "/a", ...plain, host: "/x:y, z", quotaMib: 5, overrideUid: 1, overrideGid: 0 },
      at("/a").bind("/x:y, z").quota(5).owner(1, 0),
      Mount.bind("/x:y, z", { quotaMib: 5, owner: { uid: 1, gid: 0 } }),
    ],
    [
      {
        kind: "bind",
        guest: "/a",
        ...plain,
        host: "/x",
        statVirtualization: "off",
        hostPermissions: "private",
      },
      at("/a").bind("/x").statVirtualization("off").hostPermissions("private"),
      Mount.bind("/x", { statVirtualization: "off", hostPermissions: "private" }),
    ],
    [
      { kind: "bind", guest: "/a", ...plain, host: "/x", quotaMib: 5, overlay: true, noexec: true },
      at("/a").bind("/x").overlay(false).overlay().quota(5).noexec(),
      Mount.bind("/x", { overlay: true, quotaMib: 5, noexec: true }),
    ],
    [
      { kind: "bind", guest: "/a", ...plain, host: "/x", readonly: true },
      at("/a").bind("/x").overlay().overlay(false).readonly(),
      Mount.bind("/x", { overlay: false, readonly: true }),
    ],
  ];
  for (const [expected, builder, config] of cases) {
    const built = builder.build();
    assert.deepEqual({ ...built }, expected);
    assert.deepEqual(mountFromConfig("/a/", config), built);
    assert.ok(Object.isFrozen(built));
    // As it is stored.
    assert.deepEqual(v.parse(mountsSchema, JSON.parse(JSON.stringify([built]))), [{ ...built }]);
  }
});

for (const [path, canonical] of [
  ["/a/", "/a"],
  ["/a//b/./c", "/a/b/c"],
  ["/a/b/../c", "/a/c"],
  ["/../a", "/a"],
  ["/dev/shm", "/dev/shm"],
  ["/devices", "/devices"],
] as const) {
  test(`the place ${path} is ${canonical}`, () => {
    assert.equal(at(path).tmpfs().build().guest, canonical);
  });
}

for (const path of [
  "",
  "a",
  "./a",
  "/",
  "/a/..",
  "/a:b",
  "/a;b",
  "/a,b",
  "/proc",
  "/proc/x",
  "/a/../sys/fs",
  "/dev/",
  "/.msb/scripts",
  "/a\0",
  `/${"x".repeat(256)}`,
]) {
  test(`${JSON.stringify(path).slice(0, 30)} is no place for a mount`, () => {
    isRefused(() => at(path).tmpfs().build(), /mount point/);
  });
}

const wrong: readonly (readonly [RegExp, () => MountBuilder])[] = [
  [/not said what is mounted at \/a/, () => at("/a").readonly()],
  [/size\(\) has no meaning .*\(disk\)/, () => at("/a").disk("/x").size(5)],
  [/size\(\) has no meaning .*\(named\)/, () => at("/a").named("x").size(5)],
  [/format\(\) has no meaning .*\(tmpfs\)/, () => at("/a").tmpfs().format("raw")],
  [/fstype\(\) has no meaning .*\(bind\)/, () => at("/a").bind("/x").fstype("ext4")],
  [/no name of a file system/, () => at("/a").disk("/x").fstype("")],
  [/no name of a file system/, () => at("/a").disk("/x").fstype("ext4,ro")],
  [/statVirtualization\(\) has no meaning/, () => at("/a").tmpfs().statVirtualization("off")],
  [/hostPermissions\(\) has no meaning/, () => at("/a").disk("/x").hostPermissions("mirror")],
  [
    /statVirtualization\(\) has no meaning .*a disk/,
    () => at("/a").namedWith("x", "create", "disk", 16).statVirtualization("off"),
  ],
  [/owner\(\) has no meaning/, () => at("/a").tmpfs().owner(0, 0)],
  [/quota\(\) has no meaning/, () => at("/a").named("x").quota(1)],
  [
    /"off" with hostPermissions "mirror"/,
    () => at("/a").bind("/x").statVirtualization("off").hostPermissions("mirror"),
  ],
  [/overlay\(\) has no meaning .*\(tmpfs\)/, () => at("/a").tmpfs().overlay()],
  [/overlay\(\) has no meaning .*\(named\)/, () => at("/a").named("x").overlay()],
  [/both readonly\(\) and overlay\(\)/, () => at("/a").bind("/x").overlay().readonly()],
  [/statVirtualization\(\) .* overlay\(\)/, () => at("/a").bind("/x").overlay().statVirtualization("off")],
  [/hostPermissions\(\) .* overlay\(\)/, () => at("/a").bind("/x").hostPermissions("mirror").overlay()],
  [/has no quota/, () => at("/a").namedWith("x", "create", "disk", 16, 5)],
  [/no size of its own/, () => at("/a").namedWith("x", "create", "dir", 16)],
  [/at least 1/, () => at("/a").tmpfs().size(0)],
  [/more than 16 TiB/, () => at("/a").tmpfs().size(5e9)],
  [/more than anything can hold/, () => at("/a").bind("/x").quota(1e300)],
  [/tmpfs\(\) takes nothing, and is given 64/, () => at("/a").tmpfs(...([64] as unknown as []))],
  [
    /readonly\(\) is "no"/,
    () =>
      at("/a")
        .tmpfs()
        .readonly("no" as never),
  ],
  [
    /nodev\(\) is 0/,
    () =>
      at("/a")
        .tmpfs()
        .nodev(0 as never),
  ],
  [/volume name .* is not allowed/, () => at("/a").named("../x")],
  [/directory to mount is empty/, () => at("/a").bind("")],
  [/disk image to mount holds a NUL/, () => at("/a").disk("/x\0")],
  [/mode of a named volume/, () => at("/a").namedWith("x", "maybe" as never)],
  [/user id/, () => at("/a").bind("/x").owner(-1, 0)],
  [
    /group id/,
    () =>
      at("/a")
        .bind("/x")
        .owner(0, 2 ** 32 - 1),
  ],
];
for (const [pattern, make] of wrong)
  test(`what is wrong is told when it is built: ${pattern.source}`, () => {
    isRefused(() => make().build(), pattern);
  });

const finish = (fields: object): SandboxConfig =>
  draftFromConfig({ name: "one", image: "localhost/base", ...fields }).finish();

test("a configuration has both forms", () => {
  const { mounts } = finish({
    mounts: [at("/a").tmpfs().build()],
    volumes: { "/b/": { named: "n", readonly: true }, "/c": { tmpfs: true, disk: null, bind: undefined } },
  });
  assert.deepEqual(
    mounts.map(({ guest, kind, readonly }) => [guest, kind, readonly]),
    [
      ["/a", "tmpfs", false],
      ["/b", "named", true],
      ["/c", "tmpfs", false],
    ],
  );
});

test("volumes may be a Map, or pairs", () => {
  for (const volumes of [new Map([["/b", Mount.tmpfs()]]), [["/b", Mount.tmpfs()]]])
    assert.deepEqual(
      finish({ volumes }).mounts.map(({ guest, kind }) => [guest, kind]),
      [["/b", "tmpfs"]],
    );
});

test("options that are none are refused, and not left out", () => {
  isRefused(() => Mount.bind("/tmp", true as never), /Mount\.bind\(\) is true, which is no object/);
  isRefused(() => Mount.bind("/tmp", null as never), /is null/);
  isRefused(() => Mount.tmpfs(64 as never), /Mount\.tmpfs\(\) is 64/);
  isRefused(() => Mount.provider({} as never, 5 as never), /Mount\.provider\(\) is 5/);
});

test("a mount with every field that any may have says what its kind has, and null nothing", () => {
  const flags = { readonly: true, noexec: false, nosuid: false, nodev: false };
  const every = { host: null, name: null, sizeMib: null, quotaMib: null, format: null, fstype: null };
  const more = { namedMode: null, statVirtualization: null, hostPermissions: null, overrideUid: null };
  const flat = { ...every, ...more, ...flags };
  const { mounts } = finish({
    mounts: [
      { ...flat, kind: "tmpfs", guest: "/a" },
      { ...flat, kind: "named", guest: "/b", name: "n" },
      { ...flat, kind: "bind", guest: "/c", host: "/tmp" },
    ],
  });
  assert.deepEqual(mounts, [
    at("/a").tmpfs().readonly().build(),
    at("/b").named("n").readonly().build(),
    at("/c").bind("/tmp").readonly().build(),
  ]);
  assert.deepEqual(finish({ mounts }).mounts, mounts);
});

for (const [fields, pattern] of [
  [{ volumes: { "/a": {} } }, /exactly one of .* it has none/],
  [{ volumes: { "/a": { tmpfs: false } } }, /it has none/],
  [{ volumes: { "/a": { tmpfs: true, named: "x" } } }, /it has named and tmpfs/],
  [{ volumes: { "/a": { tmpfs: 5 } } }, /neither true nor false/],
  [{ volumes: { "/a": { tmpfs: true, readOnly: true } } }, /readonly/],
  [{ volumes: { "/a": { tmpfs: true, kind: "dir" } } }, /kind has no meaning/],
  [{ volumes: { "/a": "tmpfs" } }, /must be an object/],
  [{ volumes: { "/a": { tmpfs: true }, "/a/": { tmpfs: true } } }, /two mounts are at \/a/],
  [{ volumes: { "/b/../a": { tmpfs: true } }, mounts: [at("/a").tmpfs().build()] }, /two mounts are at \/a/],
  [{ volumes: ["/a"] }, /volumes is neither an object nor a list of pairs/],
  [{ volumes: new Map([[5, { tmpfs: true }]]) }, /mount point/],
  [{ volumes: new Map([["/a", true]]) }, /must be an object/],
  [{ mounts: {} }, /^mounts is not a list/],
  [{ patches: { a: 1 } }, /^patches is not a list/],
  [{ mounts: [{ kind: "tmpfs", guest: "/a", sizeMib: "64" }] }, /size of the mount is "64"/],
  [{ mounts: [{ kind: "disk", guest: "/a", host: "/x", format: 5 }] }, /format of the disk image is 5/],
  [{ mounts: [{ kind: "disk", guest: "/a", host: "/x", fstype: 7 }] }, /file system/],
  [{ mounts: [{ kind: "bind", guest: "/a", host: "/x", overrideUid: 5 }] }, /overrideUid and no overrideGid/],
  [{ mounts: [{ kind: "tape", guest: "/a" }] }, /mounts\[0\] is no mount/],
  [{ mounts: [{ kind: "tmpfs", guest: "/a", readonly: "yes" }] }, /neither true nor false/],
  [{ mounts: [{ kind: "tmpfs", guest: "/a", host: "/x" }] }, /host/],
] as const) {
  test(`${JSON.stringify(fields)} is refused`, () => {
    isRefused(() => finish(fields), pattern);
  });
}

test("a provider is kept as it is, is in no record, and makes the mount read-only when it cannot write", () => {
  const files = { ...readingMethods, inner: { changes: 1 } };
  const onError = (): void => undefined;
  const { mounts } = finish({
    mounts: [at("/a").provider(files, { timeoutMs: 100, onError }).noexec().owner(5, 6).build()],
    volumes: {
      "/b": Mount.provider(writable(), { cacheMs: 0 }),
      "/c": { provider: writable(), readonly: true, timeoutMs: null },
    },
  });
  assert.deepEqual(JSON.parse(JSON.stringify(mounts)), [
    {
      ...{ kind: "provider", guest: "/a", timeoutMs: 100, cacheMs: 1_000, overrideUid: 5, overrideGid: 6 },
      ...{ readonly: true, noexec: true, nosuid: false, nodev: false },
    },
    {
      ...{ kind: "provider", guest: "/b", timeoutMs: 30_000, cacheMs: 0 },
      ...{ readonly: false, noexec: false, nosuid: false, nodev: false },
    },
    {
      ...{ kind: "provider", guest: "/c", timeoutMs: 30_000, cacheMs: 1_000 },
      ...{ readonly: true, noexec: false, nosuid: false, nodev: false },
    },
  ]);
  const given = providersOf(mounts);
  assert.equal(given.get("/a")?.files, files);
  assert.equal(given.get("/a")?.onError, onError);
  files.inner.changes++;
  assert.ok(!Object.isFrozen(files), "it is the user's");
});

test("providers for another start are those of its mounts", () => {
  const { mounts } = finish({ volumes: { "/a": Mount.provider(writable()), "/b": { tmpfs: true } } });
  const [known, other] = [providersOf(mounts), writable()];
  assert.equal(providersFor(mounts, { "/a/": other }, known).get("/a")?.files, other);
  assert.equal(providersFor(mounts, {}, known).get("/a"), known.get("/a"));
  assert.equal(providersFor([at("/b").tmpfs().build()], {}, new Map()).size, 0);
  isRefused(() => providersFor(mounts, {}, new Map()), /at \/a are provided by a program/);
  isRefused(() => providersFor(mounts, { "/b": other }, known), /where no provider is mounted/);
  isRefused(() => providersFor(mounts, { "/a": {} }, known), /has no function stat/);
});

for (const [pattern, make] of [
  [/has no function read\(\)/, () => at("/a").provider({ ...readingMethods, read: undefined as never })],
  [/has no function write\(\)/, () => at("/a").provider({ ...readingMethods, write: 5 as never })],
  [/is null, which is no object/, () => at("/a").provider(null as never)],
  [/is 5, which is no object/, () => at("/a").provider(5 as never)],
  [/timeoutMs .* from 100 to 3600000/, () => at("/a").provider(writable(), { timeoutMs: 99 })],
  [/cacheMs .* from 0 to/, () => at("/a").provider(writable(), { cacheMs: -1 })],
  [/onError of provider\(\) is no function/, () => at("/a").provider(writable(), { onError: 5 as never })],
  [/timeout/, () => at("/a").provider(writable(), { timeout: 5 } as never)],
  [/quota\(\) has no meaning .* \(provider\)/, () => at("/a").provider(writable()).quota(5)],
  [/statVirtualization\(\) has no meaning/, () => at("/a").provider(writable()).statVirtualization("off")],
  [/hostPermissions\(\) has no meaning/, () => at("/a").provider(writable()).hostPermissions("mirror")],
  [/size\(\) has no meaning/, () => at("/a").provider(writable()).size(5)],
  [/fstype\(\) has no meaning/, () => at("/a").provider(writable()).fstype("ext4")],
] as const) {
  test(`of a provider it is told: ${pattern.source}`, () => {
    isRefused(() => make().build(), pattern);
  });
}

test("what is for providers alone is refused elsewhere, and a mount made by hand needs its provider", () => {
  for (const fields of [{ timeoutMs: 500 }, { cacheMs: 5 }, { onError: () => undefined }])
    isRefused(() => finish({ volumes: { "/a": { tmpfs: true, ...fields } } }), /has no meaning .*tmpfs/);
  const { provider: _, ...rest } = at("/a").provider(writable()).build() as ProviderMount;
  isRefused(() => finish({ mounts: [rest] }), /mounts\[0\] has no provider/);
});

test("enclosing places come first, and else the order stays", () => {
  const order = inMountOrder(["/a/b/c", "/z", "/a/b", "/a", "/m/n"].map((guest) => ({ guest })));
  assert.deepEqual(
    order.map(({ guest }) => guest),
    ["/z", "/a", "/a/b", "/m/n", "/a/b/c"],
  );
});
