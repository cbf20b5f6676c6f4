import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { IoError } from "../../errors/index.ts";
import { tryLockFile } from "./lock.ts";
import { lockFileWhenFree } from "./lock-when-free.ts";

let directory = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "lock-when-free-"));
});

after(() => rm(directory, { recursive: true, force: true }));

test("it is had once its holder lets go, or is killed", async () => {
  const path = join(directory, "lock");
  const first = await lockFileWhenFree(path, undefined);
  const child = spawn("/bin/sh", ["-c", "echo up; exec sleep 100"], {
    stdio: ["ignore", "pipe", "ignore", first.fd],
  });
  await once(child.stdout ?? assert.fail(), "data");
  await first.release();
  let had = false;
  const waiting = lockFileWhenFree(path, undefined).then((lock) => {
    had = true;
    return lock;
  });
  assert.equal(await tryLockFile(path), null);
  assert.equal(had, false);
  child.kill("SIGKILL");
  const second = await waiting;
  const third = lockFileWhenFree(path, undefined);
  await second.release();
  await (await third).release();
});

test("waiting is given up", async () => {
  const path = join(directory, "given-up");
  await using held = await lockFileWhenFree(path, undefined);
  const reason = new Error("enough");
  const stop = new AbortController();
  const waiting = lockFileWhenFree(path, stop.signal);
  stop.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(lockFileWhenFree(path, AbortSignal.abort(reason)), reason);
  await held.release();
  await using free = await tryLockFile(path);
  assert.notEqual(free, null);
});

test("in a directory that is not there, nobody waits", async () => {
  await assert.rejects(lockFileWhenFree(join(directory, "missing", "lock"), undefined), IoError);
});
