import assert from "node:assert/strict";
import { constants, platform } from "node:os";
import { test } from "node:test";
import { signalNumber, SIGTERM } from "./signals.ts";

test("signals are found by every spelling that images have", () => {
  for (const [text, number] of [
    ["SIGTERM", SIGTERM],
    ["TERM", 15],
    ["sigquit", 3],
    [" SIGINT ", 2],
    ["9", 9],
    ["SIGWINCH", 28],
    ["31", 31],
    ["SIGRTMIN", 34],
    ["SIGRTMIN+3", 37],
    ["RTMAX-14", 50],
    ["64", 64],
  ] as const) {
    assert.equal(signalNumber(text), number, text);
  }
});

test("what is no signal is none", () => {
  for (const text of [
    "",
    "SIG",
    "0",
    "32",
    "33",
    "65",
    "-9",
    "15.0",
    "SIGRTMIN+31",
    "RTMIN-1",
    "TERM9",
    "SIGSIGTERM",
  ]) {
    assert.equal(signalNumber(text), null, text);
  }
});

test("the numbers are those of Linux", () => {
  // Elsewhere the host's own numbers differ, which is why the table exists; a few are the same everywhere.
  const known = Object.entries(constants.signals).filter(
    ([name]) =>
      platform() === "linux" || ["SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM"].includes(name),
  );
  const aliases = new Set(["SIGIOT", "SIGPOLL", "SIGUNUSED", "SIGCLD"]);
  for (const [name, number] of known) {
    if (!aliases.has(name)) assert.equal(signalNumber(name), number, name);
  }
});
