import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { modeMatters, testFiles } from "./test-vm.ts";

test("what matters without templates is run without them too, and nothing else", async () => {
  const all = (await testFiles("templates")).map((path) => basename(path));
  const cold = (await testFiles("cold")).map((path) => basename(path));
  for (const name of ["exec.test.ts", "lifecycle.test.ts", "root-disk.test.ts", "cli.test.ts"]) {
    assert.ok(all.includes(name) && cold.includes(name), name);
  }
  for (const name of [
    "template-clones.test.ts",
    "hostile-template.test.ts",
    "hostile-guest.test.ts",
    "machine.test.ts",
  ]) {
    assert.ok(all.includes(name) && !cold.includes(name), name);
  }
  assert.ok(cold.every((name) => all.includes(name)));
});

test("a file that sets the mode itself, and one without sandboxes", () => {
  assert.equal(modeMatters("const home = useTemporaryHome();"), true);
  assert.equal(modeMatters('process.env["MSB_TEMPLATES"] = "on";\nconst home = useTemporaryHome();'), false);
  assert.equal(modeMatters("const machine = Machine.start();"), false);
});
