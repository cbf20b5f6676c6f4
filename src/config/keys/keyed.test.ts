import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { keyed } from "./keyed.ts";

const words = v.object({ labels: keyed(v.string()) });

test("every key stays, and is a property of the object itself", () => {
  const text = '{"labels":{"__proto__":"a","constructor":"b","prototype":"c","toString":"d","":"e"}}';
  const { labels } = v.parse(words, JSON.parse(text));
  assert.deepEqual(Object.entries(labels), [
    ["__proto__", "a"],
    ["constructor", "b"],
    ["prototype", "c"],
    ["toString", "d"],
    ["", "e"],
  ]);
  assert.equal(Object.getPrototypeOf(labels), Object.prototype);
  assert.equal(JSON.stringify({ labels: { ...labels } }), text);
});

test("what is no object, and a value that is none of its kind, is refused with its place", () => {
  for (const [input, place] of [
    [{ labels: [] }, "labels"],
    [{ labels: null }, "labels"],
    [{ labels: "a" }, "labels"],
    [{ labels: { a: "1", b: 2 } }, "labels.b"],
  ] as const) {
    const parsed = v.safeParse(words, input);
    assert.ok(!parsed.success);
    assert.equal(v.getDotPath(parsed.issues[0]), place);
  }
});
