import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { HEAD_START_FORMAT } from "./head-start-format.ts";
import { beginQemu } from "./begun-qemu.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-begun-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const statePath = join(directory, "state");

/** What arrives from whoever starts the supervisor. */
function told(text: string): number {
  const path = join(directory, "told");
  writeFileSync(path, text);
  return openSync(path, "r");
}

function request(command: string[]): string {
  writeFileSync(statePath, "the state");
  return JSON.stringify({
    format: HEAD_START_FORMAT,
    command,
    isWatched: false,
    statePath,
    opening: "first words\n",
    introduction: Buffer.from("who you are\n").toString("base64"),
  });
}

test("what it says is kept until somebody wants to know, also when it has ended", async () => {
  const begun = beginQemu(told(request(["/bin/sh", "-c", "echo why it ended >&2; exit 1"])));
  assert.ok(begun !== null);
  const { child, output } = begun.spawned;
  await once(child, "close");
  assert.equal(output.toString(), "why it ended\n");
});

test("it inherits the state, and its monitor and its guest hear what they are told", async () => {
  const script = "read -r opening <&3; read -r introduction <&5; cat <&7; echo /$opening/$introduction";
  const begun = beginQemu(told(request(["/bin/sh", "-c", script])));
  assert.ok(begun !== null);
  const { child, output } = begun.spawned;
  await once(child, "close");
  assert.equal(output.toString(), "the state/first words/who you are\n");
});

for (const [what, text] of Object.entries({
  nothing: "",
  garbage: "{",
  "another format": request(["/bin/true"]).replace(
    `"format":${HEAD_START_FORMAT}`,
    `"format":${HEAD_START_FORMAT + 1}`,
  ),
  "a state that is not there": request(["/bin/true"]).replace(statePath, join(directory, "nowhere")),
  "a program that is not there": request([join(directory, "no-program")]),
})) {
  test(`${what} is left out`, () => {
    assert.equal(beginQemu(told(text)), null);
  });
}
