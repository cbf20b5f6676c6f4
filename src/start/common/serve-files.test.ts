import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Machine } from "../../machine/machine.ts";
import { servedWhile } from "./serve-files.ts";

test("a guest that nobody waits for any more may fail", async () => {
  const nobody = {} as Parameters<typeof servedWhile>[0];
  const machine = undefined as unknown as Machine;
  const booted = Promise.reject(new Error("the connection to the guest was closed"));
  // A rejection that nobody handles would end the process of the sandbox, and this test.
  void servedWhile(nobody, machine, { guest: [], served: [] }, booted);
  await setImmediate();
});
