import assert from "node:assert/strict";
import { test } from "node:test";
import { BackgroundJobs } from "./background-jobs.ts";

function background(): { readonly jobs: BackgroundJobs; readonly failures: unknown[] } {
  const failures: unknown[] = [];
  return { jobs: new BackgroundJobs((error) => failures.push(error)), failures };
}

test("work waits for the beginning, and is done one after the other whatever becomes of it", async () => {
  const { jobs, failures } = background();
  const done: string[] = [];
  const second = Promise.withResolvers<void>();
  jobs.add(() => {
    done.push("first");
    return Promise.reject(new Error("no room"));
  });
  assert.equal(done.length, 0);
  jobs.start();
  jobs.add(async () => {
    await Promise.resolve();
    done.push("second");
    second.resolve();
  });
  await second.promise;
  assert.deepEqual(done, ["first", "second"]);
  assert.match(String(failures[0]), /no room/);
});

test("the end gives up what has not begun, and waits for what is under way", async () => {
  const { jobs, failures } = background();
  const begun = Promise.withResolvers<void>();
  const done: string[] = [];
  jobs.start();
  jobs.add(async (signal) => {
    begun.resolve();
    await new Promise((resolve) => {
      signal.addEventListener("abort", resolve);
    });
    await new Promise(setImmediate);
    done.push("released");
    signal.throwIfAborted();
  });
  jobs.add(() => {
    done.push("never");
    return Promise.resolve();
  });
  await begun.promise;
  await jobs.end();
  assert.deepEqual(done, ["released"]);
  assert.deepEqual(failures, []);
});

test("the end does not wait for ever", async () => {
  const { jobs } = background();
  jobs.start();
  jobs.add(() => new Promise(() => undefined));
  await jobs.end(10);
});
