import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { tryLockFile, withLock } from "./lock.ts";

let directory = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "lock-"));
});

after(() => rm(directory, { recursive: true, force: true }));

test("one holder at a time", async () => {
  const path = join(directory, "one");
  const first = await tryLockFile(path);
  assert.ok(first !== null);
  assert.equal(await tryLockFile(path), null);
  await first.release();
  await first.release();
  await using second = await tryLockFile(path);
  assert.notEqual(second, null);
});

test("a lock in a directory that is gone", async () => {
  assert.equal(await tryLockFile(join(directory, "missing", "lock")), null);
  await assert.rejects(
    withLock(join(directory, "missing", "lock"), async () => undefined),
    { name: "IoError" },
  );
});

test("a lock on a file that was moved away is not one on the file in its place", async () => {
  const place = join(directory, "place");
  await mkdir(place);
  await using old = await tryLockFile(join(place, "lock"));
  await rename(place, join(directory, "moved"));
  await mkdir(place);
  await using fresh = await tryLockFile(join(place, "lock"));
  assert.notEqual(old, null);
  assert.notEqual(fresh, null);
  assert.equal(await tryLockFile(join(directory, "moved", "lock")), null);
});

test("whoever waits gets it in turn", async () => {
  const path = join(directory, "turns");
  let inside = 0;
  let most = 0;
  const turns = Array.from({ length: 5 }, () =>
    withLock(path, async () => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
    }),
  );
  await Promise.all(turns);
  assert.equal(most, 1);
});

test("a child that inherits it holds it, until it is killed", async () => {
  const path = join(directory, "inherited");
  const lock = await tryLockFile(path);
  assert.ok(lock !== null);
  const child = spawn("/bin/sh", ["-c", "echo up; exec sleep 100"], {
    stdio: ["ignore", "pipe", "ignore", lock.fd],
  });
  await once(child.stdout ?? assert.fail(), "data");
  await lock.release();
  assert.equal(await tryLockFile(path), null);
  child.kill("SIGKILL");
  await once(child, "close");
  await using again = await tryLockFile(path);
  assert.notEqual(again, null);
});
