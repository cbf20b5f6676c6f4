import assert from "node:assert/strict";
import { test } from "node:test";
import { runGroups, table, type Stage } from "./test-stages.ts";

const stage = (name: string, code: number): Stage => ({
  name,
  command: [process.execPath, "--eval", `process.exit(${code})`],
});

test("a group runs to its end, and after one with a failure nothing more does", async () => {
  const outcomes = await runGroups([
    [stage("a", 0)],
    [stage("b", 0), stage("c", 3), stage("d", 0)],
    [stage("e", 0)],
  ]);
  assert.deepEqual(outcomes.map(({ name, passed }) => `${name} ${passed}`).sort(), [
    "a true",
    "b true",
    "c false",
    "d true",
  ]);
});

test("a program that is missing is a failure, not the end of the others", async () => {
  const missing: Stage = { name: "missing", command: ["no-such-program"] };
  const outcomes = await runGroups([[missing, stage("there", 0)]]);
  assert.deepEqual(outcomes.map(({ name, passed }) => `${name} ${passed}`).sort(), [
    "missing false",
    "there true",
  ]);
});

test("the table has each stage's seconds, and which failed", () => {
  const outcomes = [
    { name: "lint", seconds: 24.6, passed: true },
    { name: "unit tests", seconds: 100, passed: false },
  ];
  assert.deepEqual(table(outcomes, 125).split("\n"), [
    "stage                        s",
    "lint                        25",
    "unit tests                 100  FAILED",
    "in all                     125",
    "",
  ]);
});
