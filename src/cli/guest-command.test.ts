import assert from "node:assert/strict";
import { test } from "node:test";
import { commandLine } from "./guest-command.ts";

const nothing = { entrypoint: null, cmd: null, shell: null };
const image = { entrypoint: ["/init"], cmd: ["serve", "-p"], shell: "/bin/ash" };

test("run keeps the image's entrypoint, exec does not", () => {
  const given = ["ls", "-la"];
  assert.deepEqual(commandLine(image, given, { withEntrypoint: true, interactive: false }), [
    "/init",
    "ls",
    "-la",
  ]);
  assert.deepEqual(commandLine(image, given, { withEntrypoint: false, interactive: false }), given);
});

test("without a command the image's own is run, whatever the terminal", () => {
  for (const interactive of [true, false]) {
    assert.deepEqual(commandLine(image, null, { withEntrypoint: true, interactive }), [
      "/init",
      "serve",
      "-p",
    ]);
    assert.deepEqual(commandLine(image, [], { withEntrypoint: false, interactive }), [
      "/init",
      "serve",
      "-p",
    ]);
  }
});

test("the shell is for terminals only", () => {
  const choice = { withEntrypoint: true, interactive: true };
  assert.deepEqual(commandLine(nothing, null, choice), ["/bin/sh"]);
  assert.deepEqual(commandLine({ ...nothing, shell: "/bin/ash" }, null, choice), ["/bin/ash"]);
  assert.deepEqual(commandLine(nothing, null, { ...choice, interactive: false }), []);
});
