import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "./nearest.ts";

const known = [
  "cpus",
  "maxCpus",
  "memoryMib",
  "disableNetwork",
  "labels",
  "logLevel",
  "shell",
  "idleTimeoutSecs",
];

for (const [word, meant] of [
  ["memory_mib", "memoryMib"],
  ["MEMORYMIB", "memoryMib"],
  ["memory-mib", "memoryMib"],
  ["memory", "memoryMib"],
  ["idleTimeout", "idleTimeoutSecs"],
  ["cpu", "cpus"],
  ["vcpus", "cpus"],
  ["disableNetwrok", "disableNetwork"],
  ["disabledNetwork", "disableNetwork"],
  ["lables", "labels"],
  ["sehll", "shell"],
  ["loglvl", "logLevel"],
] as const) {
  test(`${word} means ${meant}`, () => {
    assert.equal(nearest(word, known), meant);
  });
}

for (const word of ["", "x", "ram", "timeout", "networkPolicy", "l"]) {
  test(`${JSON.stringify(word)} means nothing known`, () => {
    assert.equal(nearest(word, known), null);
  });
}
