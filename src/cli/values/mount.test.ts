import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../output/usage-error.ts";
import { parseLongMount } from "./long-mount.ts";
import { parseMountOf, parseTmpfs, parseVolume, type MountChoice } from "./mount.ts";

const ensured = { mode: "ensure-exists" } as const;

for (const [parse, text, guest, config] of [
  [parseVolume, "cache:/data", "/data", { named: "cache", ...ensured }],
  [
    parseVolume,
    "cache:/data:ro,nosuid",
    "/data",
    { named: "cache", readonly: true, nosuid: true, ...ensured },
  ],
  [
    parseVolume,
    "c:/d:kind=disk,size=1G,mode=create",
    "/d",
    { named: "c", kind: "disk", sizeMib: 1024, mode: "create" },
  ],
  [parseVolume, "/srv/tree:/data:rw", "/data", { bind: "/srv/tree", readonly: false }],
  [parseVolume, "./x:/d", "/d", { bind: "./x" }],
  [
    parseVolume,
    "/x:/d:owner=1000:100,ro",
    "/d",
    { bind: "/x", owner: { uid: 1000, gid: 100 }, readonly: true },
  ],
  [parseVolume, "/x:/d:z", "/d", { bind: "/x" }],
  [parseVolume, "/x:/d:ro,Z", "/d", { bind: "/x", readonly: true }],
  [parseMountOf("named"), "n:/d:owner=0:5", "/d", { named: "n", ...ensured, owner: { uid: 0, gid: 5 } }],
  [parseMountOf("file"), "x:/d:owner=1:2", "/d", { bind: "x", owner: { uid: 1, gid: 2 } }],
  [parseVolume, "..:/d", "/d", { bind: ".." }],
  [parseVolume, "./x.img:/d:format=raw", "/d", { disk: "./x.img", format: "raw" }],
  [
    parseMountOf("dir"),
    "x:/d:quota=5,stat-virt=off",
    "/d",
    { bind: "x", quotaMib: 5, statVirtualization: "off" },
  ],
  [parseMountOf("file"), "x:/d", "/d", { bind: "x" }],
  [parseMountOf("disk"), "x.qcow2:/d:ro", "/d", { disk: "x.qcow2", readonly: true }],
  [parseMountOf("named"), "n:/d", "/d", { named: "n", ...ensured }],
  [parseTmpfs, "/t", "/t", { tmpfs: true }],
  [parseTmpfs, "/t:64M", "/t", { tmpfs: true, sizeMib: 64 }],
  [parseVolume, "/d:/work:overlay,quota=1G", "/work", { overlay: true, quotaMib: 1024, bind: "/d" }],
  [parseLongMount, "type=bind,src=/d,dst=/work,overlay", "/work", { overlay: true, bind: "/d" }],
  [parseTmpfs, "/t:64:noexec", "/t", { tmpfs: true, sizeMib: 64, noexec: true }],
  [
    parseTmpfs,
    "/t:rw,noexec,nosuid,size=65536k",
    "/t",
    { tmpfs: true, readonly: false, noexec: true, nosuid: true, sizeMib: 64 },
  ],
  [parseLongMount, "type=bind,source=/a:b,target=/d,readonly", "/d", { bind: "/a:b", readonly: true }],
  [parseLongMount, '"src=/a,b ""c""",type=bind,dst=/d,ro=false', "/d", { bind: '/a,b "c"', readonly: false }],
  [parseLongMount, "type=bind,src=/a,dst=/d,readonly=TRUE", "/d", { bind: "/a", readonly: true }],
  [parseLongMount, "type=bind,src=/a,dst=/d,ro=f", "/d", { bind: "/a", readonly: false }],
  [parseLongMount, "type=tmpfs,target=/d,tmpfs-size=0", "/d", { tmpfs: true }],
  [parseLongMount, "type=tmpfs,target=/d,tmpfs-size=64m", "/d", { tmpfs: true, sizeMib: 64 }],
  [parseLongMount, "source=n,destination=/d", "/d", { named: "n", ...ensured }],
  [parseLongMount, "type=tmpfs,target=/d,tmpfs-size=1048577", "/d", { tmpfs: true, sizeMib: 2 }],
  [
    parseLongMount,
    "type=disk,src=x.raw,dst=/d,fstype=ext4,noexec",
    "/d",
    { disk: "x.raw", fstype: "ext4", noexec: true },
  ],
] as const) {
  test(`${text} is a mount`, () => {
    const found: MountChoice = parse(text);
    assert.deepEqual([found.guest, found.config], [guest, config]);
  });
}

for (const [parse, text, pattern] of [
  [parseVolume, "/data", /is no mount/],
  [parseVolume, ":/data", /is no mount/],
  [parseVolume, "a:b:c:d", /is no mount/],
  [parseVolume, "a:/d:", /is no option/],
  [parseVolume, "a:/d:rO", /is no option/],
  [parseVolume, "a:/d:ro=1", /is no option/],
  [parseVolume, "a:/d:constructor", /is no option/],
  [parseVolume, "a:/d:zz", /is no option/],
  [parseVolume, "/a:b:/x", /is no mount/],
  [parseVolume, "/a:/b:/x", /is no mount/],
  [parseVolume, "a:d", /is no mount/],
  [parseVolume, "/a:/d:owner=1:2:3", /is no owner/],
  [parseVolume, "/a:/d:ro:nosuid", /is no option/],
  [parseVolume, "a:/d:ro,rw", /contradicts another/],
  [parseVolume, "a:/d:size=1G,size=2G", /contradicts another/],
  [parseVolume, "a:/d:owner=1:2,owner=1:3", /contradicts another/],
  [parseTmpfs, "/t:5:size=6", /contradicts another/],
  [parseLongMount, "type=tmpfs,target=/x,target=/y", /two fields say the target/],
  [parseLongMount, "source=x,src=y,target=/y", /two fields say the source/],
  [parseLongMount, "source=x,target=/y,ro,readonly=false", /contradicts another/],
  [parseVolume, "a:/d:size=x", /is not a size/],
  [parseTmpfs, ":5", /is no mount/],
  [parseTmpfs, "/t:5:ro:x", /is no mount/],
  [parseTmpfs, "/t:mode=1777,uid=5", /is no option/],
  [parseLongMount, "type=bind,source=/x", /names no target/],
  [parseLongMount, "target=/x", /names no source/],
  [parseLongMount, "type=tmpfs,target=/x,source=/y", /memory has no source/],
  [parseLongMount, "type=npipe,source=x,target=/y", /no type of a mount/],
  [parseLongMount, "type=bind,source=/x,target=/y,bind-propagation=rslave", /is no option/],
  [parseLongMount, 'type=bind,sou"rce=/x,target=/y', /quote in the middle/],
  [parseLongMount, "type=bind,source=/x,target=/y,readonly=perhaps", /neither true nor false/],
] as const) {
  test(`${text} is refused`, () => {
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.match(error.message, pattern);
        return true;
      },
    );
  });
}

test("what --mount-dir and --mount-file say is looked at", () => {
  assert.throws(() => parseMountOf("dir")("/etc/passwd:/d"), /\/etc\/passwd is no directory/);
  assert.throws(
    () => parseMountOf("file")("/etc:/d"),
    (error) =>
      error instanceof UsageError && /is a directory/.test(error.message) && /--mount-dir/.test(error.hint),
  );
  assert.deepEqual(parseMountOf("file")("/etc/passwd:/d").config, { bind: "/etc/passwd" });
  assert.deepEqual(parseMountOf("dir")("/etc:/d").config, { bind: "/etc" });
});
