import assert from "node:assert/strict";
import { test } from "node:test";
import { RareWarning } from "./rare-warning.ts";

test("a flood of warnings is told once a minute, with how many there were", () => {
  let now = 0;
  const told: string[] = [];
  const warning = new RareWarning(
    (message) => told.push(message),
    () => now,
  );
  for (let count = 0; count < 1000; count++) warning.tell("lost");
  now = 59_999;
  warning.tell("lost");
  assert.deepEqual(told, ["lost"]);
  now = 60_000;
  warning.tell("lost again");
  now = 120_000;
  warning.tell("lost once");
  assert.deepEqual(told, ["lost", "lost again (and 1000 more since the last warning)", "lost once"]);
});
