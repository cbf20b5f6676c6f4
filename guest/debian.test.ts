import assert from "node:assert/strict";
import { test } from "node:test";
import { appletPaths } from "./base-image.ts";
import { parseRecord } from "./debian.ts";

test("a control record is read with its folded fields, and only the first one", () => {
  const fields = parseRecord(
    "Package: linux-image-amd64\nDepends: linux-image-6.1.0-1-amd64\n (= 6.1.1-1)\nSHA256: aa\n\nPackage: older\n",
  );
  assert.equal(fields.get("Package"), "linux-image-amd64");
  assert.equal(fields.get("Depends"), "linux-image-6.1.0-1-amd64 (= 6.1.1-1)");
  assert.equal(fields.get("SHA256"), "aa");
  assert.equal(fields.size, 3);
});

test("BusyBox's applets are linked where it wants them, and never over itself", () => {
  assert.deepEqual(appletPaths("usr/sbin/chroot\nbin/ash\nlinuxrc\nbin/busybox\nusr/bin/awk\n"), [
    "bin/ash",
    "usr/bin/awk",
    "usr/sbin/chroot",
  ]);
});
