import assert from "node:assert/strict";
import { test } from "node:test";
import { Afterwards } from "./background-jobs.ts";

function afterwards(): { readonly work: Afterwards; readonly failures: unknown[] } {
  const failures: unknown[] = [];
  return { work: new Afterwards((error) => failures.push(error)), failures };
}

test("work waits for the beginning, and is done one after the other whatever becomes of it", async () => {
  const { work, failures } = afterwards();
  const done: string[] = [];
  const second = Promise.withResolvers<void>();
  work.add(() => {
    done.push("first");
    return Promise.reject(new Error("no room"));
  });
  assert.equal(done.length, 0);
  work.begin();
  work.add(async () => {
    await Promise.resolve();
    done.push("second");
    second.resolve();
  });
  await second.promise;
  assert.deepEqual(done, ["first", "second"]);
  assert.match(String(failures[0]), /no room/);
});

test("the end gives up what has not begun, and waits for what is under way", async () => {
  const { work, failures } = afterwards();
  const begun = Promise.withResolvers<void>();
  const done: string[] = [];
  work.begin();
  work.add(async (signal) => {
    begun.resolve();
    await new Promise((resolve) => {
      signal.addEventListener("abort", resolve);
    });
    await new Promise(setImmediate);
    done.push("released");
    signal.throwIfAborted();
  });
  work.add(() => {
    done.push("never");
    return Promise.resolve();
  });
  await begun.promise;
  await work.end();
  assert.deepEqual(done, ["released"]);
  assert.deepEqual(failures, []);
});

test("the end does not wait for ever", async () => {
  const { work } = afterwards();
  work.begin();
  work.add(() => new Promise(() => undefined));
  await work.end(10);
});
