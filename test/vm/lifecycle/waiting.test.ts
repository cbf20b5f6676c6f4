import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecTimeoutError, OperationTimeoutError, Sandbox, SandboxHandle } from "../../../src/index.ts";
import { processOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// Every method that waits can be given up, and a guest that does not answer is one to give up on.
const home = useTemporaryHome();
const name = "waiting";

/** What comes before the options; a method that is not here has none. */
const argumentsOf: Readonly<Record<string, readonly unknown[]>> = {
  exec: ["true", []],
  execWith: ["true", (options: unknown) => options],
  execStream: ["true", []],
  execStreamWith: ["true", (options: unknown) => options],
  execWithConfig: [{ cmd: "true" }],
  execStreamWithConfig: [{ cmd: "true" }],
  execDefaultWith: [(options: unknown) => options],
  execDefaultStreamWith: [(options: unknown) => options],
  shell: ["true"],
  shellStream: ["true"],
  stopWithTimeout: [1000],
  killWithTimeout: [1000],
  waitForStatus: ["stopped"],
  connectWithTimeout: [1000],
};

/** They need a terminal, or are no calls that wait. */
const others = /^(constructor|attach.*|metricsStream|config)$/;

function methodsOf(object: object): string[] {
  const names = new Set<string>();
  for (
    let at = Object.getPrototypeOf(object) as object;
    at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && !others.test(key)) names.add(key);
    }
  }
  return [...names];
}

test("every method can be given up", { timeout }, async () => {
  const sandbox = await Sandbox.builder(name)
    .image("localhost/base")
    .memory(smallMemory)
    .cmd(["true"])
    .create();
  const handle = await Sandbox.get(name);
  assert.ok(handle instanceof SandboxHandle);
  const reason = new Error("never mind");
  for (const object of [sandbox, handle]) {
    const names = methodsOf(object);
    assert.ok(names.length > 15);
    for (const method of names) {
      const call = Reflect.get(object, method) as (...args: unknown[]) => Promise<unknown>;
      const options = { signal: AbortSignal.abort(reason) };
      await assert.rejects(call.call(object, ...(argumentsOf[method] ?? []), options), reason, method);
    }
  }
  assert.equal((await handle.refresh()).status, "running");
  await assert.rejects(
    sandbox.execWith("sh", (o) => o.args(["-c", "echo so far; sleep 60"]).timeout(3000)),
    (error) => error instanceof ExecTimeoutError && error.stdout() === "so far\n",
  );
});

test("a guest that does not answer is given up on, with a log", { timeout }, async () => {
  const handle = await Sandbox.get(name);
  const sandbox = await handle.connect();
  const qemu = await processOf(home, name, "qemu");
  process.kill(qemu, "SIGSTOP");
  const limit = { timeoutMs: 300 };
  try {
    for (const call of [
      () => sandbox.ping(limit),
      () => sandbox.exec("true", [], limit),
      () => sandbox.wait(limit),
      () => handle.waitForStatus("stopped", limit),
      () => sandbox.stop(limit),
    ]) {
      await assert.rejects(call(), (error) => {
        assert.ok(error instanceof OperationTimeoutError);
        assert.equal(error.timeoutMs, 300);
        assert.notDeepEqual(error.log, []);
        return true;
      });
    }
  } finally {
    process.kill(qemu, "SIGCONT");
  }
  await handle.waitUntilStopped();
});

test("a creation that is given up at any stage leaves nothing", { timeout }, async () => {
  for (const wanted of ["prepare", "restore|boot"]) {
    const controller = new AbortController();
    const reason = new Error(wanted);
    const config = { name: "given-up", image: "localhost/base", memoryMib: smallMemory };
    const onProgress = ({ stage }: { stage: string }): void => {
      if (new RegExp(wanted).test(stage)) controller.abort(reason);
    };
    await assert.rejects(Sandbox.create(config, { signal: controller.signal, onProgress }), reason);
    assert.ok((await Sandbox.list()).every((sandbox) => sandbox.name !== "given-up"));
  }
});
