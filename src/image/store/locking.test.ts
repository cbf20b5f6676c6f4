import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { tryLockFile } from "../../host/locks/lock.ts";
import { withStoreLock } from "./locking.ts";

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-locking-"));
});

after(() => rm(directory, { recursive: true }));

const never = (): Promise<never> => Promise.reject(new Error("this must not be done"));

test("who waits for another holder can give up, and the next one need not wait for that", async () => {
  const path = join(directory, "held");
  // Of its own open file, as another process would hold it.
  const held = await tryLockFile(path);
  assert.ok(held !== null);
  const stop = new AbortController();
  const waiting = assert.rejects(withStoreLock(path, stop.signal, never), /given up/);
  stop.abort(new Error("given up"));
  await waiting;
  await held.release();
  assert.equal(await withStoreLock(path, undefined, () => Promise.resolve("done")), "done");
});

test("who stands in the line of this process can give up", async () => {
  const path = join(directory, "line");
  const working = Promise.withResolvers<undefined>();
  const first = withStoreLock(path, undefined, () => working.promise);
  const stop = new AbortController();
  const second = assert.rejects(withStoreLock(path, stop.signal, never), /given up/);
  const third = withStoreLock(path, undefined, () => Promise.resolve("done"));
  stop.abort(new Error("given up"));
  await second;
  working.resolve(undefined);
  await first;
  assert.equal(await third, "done");
});

test("nothing is done for a signal that was aborted before", async () => {
  const signal = AbortSignal.abort(new Error("given up"));
  await assert.rejects(withStoreLock(join(directory, "free"), signal, never), /given up/);
});
