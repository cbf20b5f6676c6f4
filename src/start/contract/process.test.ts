import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSupervisorArguments, supervisorArguments, type SupervisorTask } from "./process.ts";

test("a supervisor understands what it is given", () => {
  const tasks: SupervisorTask[] = [
    { kind: "host" },
    { kind: "sandbox", name: "demo", attached: true },
    // The name of a sandbox is no word of ours.
    { kind: "sandbox", name: "host", attached: false },
  ];
  for (const task of tasks) assert.deepEqual(parseSupervisorArguments(supervisorArguments(task)), task);
});

test("what is no task is refused", () => {
  for (const words of [[], ["demo"], ["demo", "owned"], ["demo", "attached", "now"], ["--diagnose"]]) {
    assert.equal(parseSupervisorArguments(words), null, words.join(" "));
  }
});
