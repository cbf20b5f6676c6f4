import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { checkMemory, leastMemoryMib } from "./least-memory.ts";

test("too little memory is refused, with how much is needed", () => {
  for (const cpus of [1, 8]) {
    const least = leastMemoryMib({ cpus, kernelPath: null }, "x64");
    checkMemory({ cpus, memoryMib: least, kernelPath: null }, "x64");
    for (const memoryMib of [1, 64, least - 1]) {
      assert.throws(
        () => checkMemory({ cpus, memoryMib, kernelPath: null }, "x64"),
        (error) => {
          assert.ok(error instanceof InvalidConfigError);
          assert.match(error.message, new RegExp(`^${memoryMib} MiB .* needs ${least} with`));
          assert.match(error.hint, /128 MiB/);
          return true;
        },
      );
    }
  }
});

test("where nobody knows the least, nothing is refused", () => {
  checkMemory({ cpus: 1, memoryMib: 16, kernelPath: "/boot/tiny" }, "x64");
  checkMemory({ cpus: 1, memoryMib: 16, kernelPath: null }, "riscv64");
});
