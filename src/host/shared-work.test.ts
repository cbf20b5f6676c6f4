import assert from "node:assert/strict";
import { test } from "node:test";
import { Operation, type WaitOptions } from "./operation.ts";
import { SharedWork } from "./shared-work.ts";

/** Work that goes on until the test ends it. */
class Work {
  readonly shared = new SharedWork<number>();
  readonly begun: { readonly signal: AbortSignal; readonly result: PromiseWithResolvers<number> }[] = [];

  ask(options: WaitOptions = {}): Promise<number> {
    return Operation.run("ask", options, (operation) =>
      this.shared.wait(operation, (signal) => {
        const result = Promise.withResolvers<number>();
        this.begun.push({ signal, result });
        return result.promise;
      }),
    );
  }
}

test("all who ask meanwhile get what was done once, the next one what is done anew", async () => {
  const work = new Work();
  const asked = [work.ask(), work.ask(), work.ask()];
  work.begun[0]?.result.resolve(1);
  assert.deepEqual(await Promise.all(asked), [1, 1, 1]);
  const later = work.ask();
  assert.equal(work.begun.length, 2);
  work.begun[1]?.result.reject(new Error("second"));
  await assert.rejects(later, /second/);
});

test("one who gives up takes it away from nobody", async () => {
  const work = new Work();
  const controller = new AbortController();
  const reason = new Error("never mind");
  const first = work.ask({ signal: controller.signal });
  const second = work.ask();
  controller.abort(reason);
  await assert.rejects(first, reason);
  assert.equal(work.begun[0]?.signal.aborted, false);
  work.begun[0].result.resolve(7);
  assert.equal(await second, 7);
});

test("it is given up when nobody waits any more, and begun anew for the next one", async () => {
  const work = new Work();
  const controller = new AbortController();
  const asked = [work.ask({ signal: controller.signal }), work.ask({ signal: controller.signal })];
  controller.abort(new Error("never mind"));
  for (const one of asked) await assert.rejects(one, /never mind/);
  assert.equal(work.begun[0]?.signal.aborted, true);
  const next = work.ask();
  work.begun[1]?.result.resolve(2);
  assert.equal(await next, 2);
  await assert.rejects(work.ask({ signal: controller.signal }), /never mind/);
  assert.equal(work.begun.length, 2);
});
