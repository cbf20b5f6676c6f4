import assert from "node:assert/strict";
import { test } from "node:test";
import { BootStartError, IoError, OperationTimeoutError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import type { Machine } from "../../machine/machine.ts";
import type { MachineExit } from "../../machine/types.ts";
import type { SandboxRecord } from "../../store/sandbox-record.ts";
import { unlessOver } from "./context.ts";
import { bootLimit, restoreLimit, startError, type WaitLimit } from "./start-errors.ts";

const exit: MachineExit = {
  code: null,
  signal: "SIGKILL",
  reason: "killed",
  detail: "killed",
  qemuOutput: "",
};

/** What is told of a guest that was waited for until a limit was reached. */
function toldOf(limit: WaitLimit, memoryMib = 512): BootStartError {
  const record = {
    name: "demo",
    config: { image: { kind: "oci" }, mounts: [], memoryMib },
  } as unknown as SandboxRecord;
  const kernelLog = { follow: () => undefined, lastLines: () => "the last line" };
  const error = new OperationTimeoutError("start took too long", { operation: "start", timeoutMs: 1 });
  const failure = startError({ record, kernelLog }, "build_vm", error, exit, limit);
  assert.ok(failure instanceof BootStartError);
  assert.equal(failure.consoleTail, "the last line");
  return failure;
}

test("what took too long is told with the limit that it reached", (t) => {
  t.after(() => {
    delete process.env["MSB_BOOT_TIMEOUT_MS"];
  });
  for (const [configured, bootMs, restoreMs] of [
    [undefined, 180_000, 30_000],
    ["240000", 240_000, 30_000],
    ["60000", 60_000, 20_000],
  ] as const) {
    if (configured === undefined) delete process.env["MSB_BOOT_TIMEOUT_MS"];
    else process.env["MSB_BOOT_TIMEOUT_MS"] = configured;
    const boot = toldOf(bootLimit());
    assert.equal(boot.message, `the guest was not ready within ${bootMs} ms`);
    assert.match(boot.hint, /MSB_BOOT_TIMEOUT_MS/);
    const restore = toldOf(restoreLimit());
    assert.equal(restore.message, `the restored guest did not answer within ${restoreMs} ms`);
  }
});

test("a machine with little memory is told so, however it failed", () => {
  assert.match(toldOf(bootLimit(), 100).hint, /^It has 100 MiB of memory.*128/);
});

test("a guest that is held for want of space, before it is a sandbox, fails the start as a full disk does", async () => {
  const machine = {
    exited: new Promise(() => undefined),
    outOfSpace: Promise.resolve(),
  } as unknown as Machine;
  const starting = Operation.run("start", {}, (operation) =>
    unlessOver(new Promise(() => undefined), machine, operation),
  );
  const error: unknown = await starting.catch((reason: unknown) => reason);
  assert.ok(error instanceof IoError);
  assert.match(error.message, /ENOSPC: no space left on device/);
  assert.match(error.hint, /disk is full/);
  const record = { name: "demo", config: { image: { kind: "oci" } } } as SandboxRecord;
  const kernelLog = { follow: () => undefined, lastLines: () => "" };
  assert.equal(startError({ record, kernelLog }, "build_vm", error, exit, bootLimit()), error);
});
