import assert from "node:assert/strict";
import { test } from "node:test";
import type { Needs } from "../test/vm/tags.ts";
import { isAlone, neededPrograms, readNeeds, select, vmTestFiles, type VmTestFile } from "./vm-test-files.ts";

const everything = { tags: [], files: [] };
const file = (name: string, ...needs: Needs): VmTestFile => ({ path: `/tests/${name}.test.ts`, name, needs });
const names = (files: readonly VmTestFile[]): string[] => files.map(({ name }) => name);

const some = [
  file("exec", "running"),
  file("failures", "boots", "disk-full"),
  file("first-boot", "cold"),
  file("metrics", "boots", "alone"),
  file("template-clock", "template", "clock", "alone"),
];

test("every file says what it needs, and is in a round", async () => {
  const all = await vmTestFiles();
  const rounds = [...select(all, "templates", everything), ...select(all, "cold", everything)];
  assert.deepEqual(new Set(names(rounds)), new Set(names(all)));
});

test("the rounds", () => {
  assert.deepEqual(names(select(some, "templates", everything)), [
    "exec",
    "failures",
    "metrics",
    "template-clock",
  ]);
  assert.deepEqual(names(select(some, "cold", everything)), ["failures", "first-boot", "metrics"]);
});

test("a round is narrowed down by tags and by files", () => {
  const templates = (tags: string[], files: string[]): string[] =>
    names(select(some, "templates", { tags, files }));
  assert.deepEqual(templates(["alone"], []), ["metrics", "template-clock"]);
  assert.deepEqual(templates(["disk-full", "running"], []), ["exec", "failures"]);
  assert.deepEqual(templates([], ["test/vm/commands/exec.test.ts", "metrics"]), ["exec", "metrics"]);
  assert.deepEqual(templates(["boots"], ["exec", "metrics"]), ["metrics"]);
  assert.throws(() => templates(["slow"], []), /there is no tag "slow"/);
  assert.throws(() => templates([], ["exce"]), /there is no exce\.test\.ts/);
  assert.throws(() => select(some, "cold", { tags: [], files: ["exec"] }), /not in the round cold/);
  assert.throws(() => templates(["cold"], []), /nothing of this is run/);
});

test("what the host must have, and what wants to be alone", () => {
  assert.deepEqual(neededPrograms(some), ["faketime", "mount", "umount"]);
  assert.deepEqual(names(some.filter(isAlone)), ["metrics", "template-clock"]);
});

test("tags are read from the source", () => {
  assert.deepEqual(readNeeds("a", 'x;\nexport const needs: Needs = ["boots", "alone"];\ny;'), [
    "boots",
    "alone",
  ]);
  assert.deepEqual(readNeeds("a", 'export const needs: Needs = [\n  "boots",\n  "alone",\n];'), [
    "boots",
    "alone",
  ]);
});

test("a file that says nothing, or what there is not, is refused by name", () => {
  for (const [source, reason] of [
    ["", /^a\.test\.ts does not say what it needs/],
    ['// export const needs: Needs = ["running"];', /does not say/],
    ["export const needs: Needs = [];", /begins its needs with ""/],
    ['export const needs: Needs = ["alone", "running"];', /begins its needs with "alone"/],
    ['export const needs: Needs = ["running", "fast"];', /needs "fast", which is none of disk-full, /],
    ['export const needs: Needs = ["running", "boots"];', /needs "boots"/],
  ] as const) {
    assert.throws(
      () => readNeeds("a.test.ts", source),
      (error: Error) => reason.test(error.message),
    );
  }
});
