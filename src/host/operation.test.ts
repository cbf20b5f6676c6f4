import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { InvalidConfigError, OperationTimeoutError, RuntimeError } from "../errors/index.ts";
import { Operation } from "./operation.ts";

const never = new Promise<never>(() => undefined);

test("what the work returns is returned, and nothing is left behind", async () => {
  const { signal } = new AbortController();
  assert.equal(await Operation.run("add", { signal, timeoutMs: 60_000 }, async () => 5), 5);
  assert.deepEqual(getEventListeners(signal, "abort"), []);
});

test("a time that is over ends what waits, and says what was being done", async () => {
  await assert.rejects(
    Operation.run("wait for ever", { timeoutMs: 1 }, async (operation) => {
      operation.log("asked");
      await operation.wait(never);
    }),
    (error) => {
      assert.ok(error instanceof OperationTimeoutError);
      assert.equal(error.code, "operationTimeout");
      assert.equal(error.operation, "wait for ever");
      assert.equal(error.timeoutMs, 1);
      assert.match(error.log.join("\n"), /^\+\d+ ms asked$/);
      return true;
    },
  );
});

test("a caller that changes its mind gets its own reason, before and during the work", async () => {
  const reason = new Error("never mind");
  await assert.rejects(
    Operation.run("x", { signal: AbortSignal.abort(reason) }, () => assert.fail("it was begun")),
    reason,
  );
  const controller = new AbortController();
  const running = Operation.run("x", { signal: controller.signal }, (operation) => {
    controller.abort(reason);
    return operation.wait(never);
  });
  await assert.rejects(running, reason);
});

test("work that notices the end in its own way is told as the end", async () => {
  const controller = new AbortController();
  const reason = new Error("never mind");
  await assert.rejects(
    Operation.run("x", { signal: controller.signal }, async () => {
      controller.abort(reason);
      throw new RuntimeError("the connection was closed");
    }),
    reason,
  );
});

test("work that tells what was cut short, and why, is heard", async () => {
  await assert.rejects(
    Operation.run("x", { timeoutMs: 1 }, async (operation) => {
      await operation.wait(never).catch((cause: unknown) => {
        throw new RuntimeError("the guest was not ready", { cause });
      });
    }),
    (error) =>
      error instanceof RuntimeError &&
      error.message === "the guest was not ready" &&
      error.cause instanceof OperationTimeoutError,
  );
});

test("an error of the work has the log, of one inside another both", async () => {
  await assert.rejects(
    Operation.run("outer", {}, async (outer) => {
      outer.log("outside");
      await Operation.run("inner", { signal: outer.signal }, async (inner) => {
        inner.log("inside");
        throw new RuntimeError("no");
      });
    }),
    (error) => {
      assert.ok(error instanceof RuntimeError);
      assert.deepEqual(
        error.log.map((line) => line.replace(/^\+\d+ ms /, "")),
        ["outside", "inside"],
      );
      return true;
    },
  );
});

test("a long log keeps its end", async () => {
  await Operation.run("x", {}, async (operation) => {
    for (let line = 0; line < 250; line += 1) operation.log(String(line));
    assert.equal(operation.lines().length, 201);
    assert.match(operation.lines()[0] ?? "", /50 earlier/);
    assert.match(operation.lines().at(-1) ?? "", / 249$/);
  });
});

test("no time at all ends what has not begun", async () => {
  await assert.rejects(
    Operation.run("x", { timeoutMs: 0 }, () => assert.fail("it was begun")),
    OperationTimeoutError,
  );
});

test("options that nobody reads are refused, by name and with those that there are", async () => {
  for (const [options, says] of [
    [{ cwd: "/tmp" }, /"x" has no option "cwd"/],
    [{ timeout: 5 }, /no option "timeout"/],
    [{ constructor: 5 }, /no option "constructor"/],
    [null, /no object/],
    [5, /no object/],
    [["a"], /no object/],
    [{ signal: {} }, /no AbortSignal/],
    [{ signal: new AbortController() }, /no AbortSignal/],
    [{ quick: "yes" }, /quick of "x" is no boolean/],
  ] as const) {
    await assert.rejects(
      Operation.run("x", options as never, () => assert.fail("it was begun"), { quick: "boolean" }),
      (error) =>
        error instanceof InvalidConfigError && says.test(error.message) && error.hint.includes("timeoutMs"),
      String(says),
    );
  }
  const given = { signal: new AbortController().signal, cwd: undefined, quick: true };
  await Operation.run("x", given, async () => undefined, { quick: "boolean" });
});

test("what is no time is refused", async () => {
  for (const timeoutMs of [-1, Number.NaN, "5" as unknown as number]) {
    await assert.rejects(
      Operation.run("x", { timeoutMs }, async () => undefined),
      InvalidConfigError,
    );
  }
  await Operation.run("x", { timeoutMs: Number.POSITIVE_INFINITY }, async (operation) => {
    assert.equal(operation.leftMs, Number.POSITIVE_INFINITY);
  });
});
