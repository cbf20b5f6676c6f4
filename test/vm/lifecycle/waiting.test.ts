import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ExecTimeoutError,
  OperationTimeoutError,
  Sandbox,
  SandboxHandle,
  type StartObserver,
} from "../../../src/index.ts";
import { processesGone, processesOf, processOf, smallMemory, timeout } from "../lifecycle-support.ts";
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
  execDetached: ["true", []],
  execDetachedWith: ["true", (options: unknown) => options],
  getJob: ["0badc0de"],
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
  changes: ["/work"],
  applyChanges: ["/work"],
  discardChanges: ["/work"],
  updateNetwork: [{}],
  waitForPort: [80],
  emit: ["given-up", null],
  snapshot: ["given-up"],
  snapshotTo: ["/tmp/given-up"],
  fork: ["given-up"],
  checkpoint: ["given-up"],
  rollback: ["given-up"],
  removeCheckpoint: ["given-up"],
  forkMany: [["given-up"]],
  branch: ["given-up"],
  branchMany: [["given-up"]],
};

/** They need a terminal, or are no calls that wait. */
const others = /^(constructor|childOf|attach.*|metricsStream|config|fs|httpAgent|connector|onEvent|ssh)$/;

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
      const call = Reflect.get(object, method) as (
        ...args: unknown[]
      ) => Promise<unknown> | AsyncIterableIterator<unknown>;
      const options = { signal: AbortSignal.abort(reason) };
      // Of a handle it connects to the sandbox, of a sandbox to a port of its guest.
      const first = method === "connect" && object === sandbox ? [80] : (argumentsOf[method] ?? []);
      const called = call.call(object, ...first, options);
      const over = called instanceof Promise ? called : called.next();
      await assert.rejects(over, reason, method);
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

const abandoned = "given-up";

/** Gives a start up when it comes to a stage. */
function givingUpAt(stages: RegExp, reason: Error): StartObserver {
  const controller = new AbortController();
  const onProgress = ({ stage }: { stage: string }): void => {
    if (stages.test(stage)) controller.abort(reason);
  };
  return { signal: controller.signal, onProgress };
}

/** When the sandbox is running, `reason` is thrown at whoever starts it. */
function throwingAtTheEnd(reason: Error): StartObserver {
  return {
    onStarted: () => {
      throw reason;
    },
  };
}

/** The call has waited for its supervisor's end; a QEMU that dies by that may take a moment more. */
async function assertEnded(reason: Error): Promise<void> {
  const left = await processesOf(home, abandoned);
  assert.deepEqual(
    left.filter(({ kind }) => kind === "supervisor"),
    [],
    reason.message,
  );
  await processesGone(home, abandoned);
}

/** The ways not to come to a sandbox, each with the error that tells of it. */
function waysToFail(): { readonly observer: StartObserver; readonly reason: Error }[] {
  const early = new Error("given up early");
  const late = new Error("given up late");
  const callback = new Error("thrown by a callback");
  return [
    { observer: givingUpAt(/prepare/, early), reason: early },
    { observer: givingUpAt(/restore|boot/, late), reason: late },
    { observer: throwingAtTheEnd(callback), reason: callback },
  ];
}

for (const kind of ["create", "createDetached"] as const) {
  test(
    `${kind} that is given up at any stage, or whose callback throws, leaves nothing`,
    { timeout },
    async () => {
      const config = { name: abandoned, image: "localhost/base", memoryMib: smallMemory };
      for (const { observer, reason } of waysToFail()) {
        await assert.rejects(Sandbox[kind](config, observer), reason);
        await assertEnded(reason);
        assert.ok(
          (await Sandbox.list()).every((sandbox) => sandbox.name !== abandoned),
          reason.message,
        );
      }
    },
  );
}

test(
  "a start that is given up, or whose callback throws, leaves a stopped sandbox that can be started",
  { timeout },
  async () => {
    const created = await Sandbox.builder(abandoned).image("localhost/base").memory(smallMemory).create();
    await created.shell("echo kept > /root/note");
    await created.stop();
    for (const { observer, reason } of waysToFail()) {
      await assert.rejects(Sandbox.start(abandoned, observer), reason);
      await assertEnded(reason);
      assert.equal((await Sandbox.get(abandoned)).status, "stopped", reason.message);
    }
    await using started = await Sandbox.start(abandoned);
    assert.equal((await started.shell("cat /root/note")).stdout(), "kept\n");
  },
);
