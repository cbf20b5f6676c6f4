import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
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
    command,
    isWatched: false,
    statePath,
    opening: "first words\n",
    introduction: Buffer.from("who you are\n").toString("base64"),
  });
}

test("it inherits the state, and its monitor and its guest hear what they are told", async () => {
  const script = "read -r opening <&3; read -r introduction <&5; cat <&7; echo /$opening/$introduction";
  const begun = beginQemu(told(request(["/bin/sh", "-c", script])));
  assert.ok(begun !== null);
  const { child } = begun.spawned;
  assert.ok(child.stdout !== null);
  let said = "";
  for await (const chunk of child.stdout) said += String(chunk);
  assert.equal(said, "the state/first words/who you are\n");
  if (child.exitCode === null) await once(child, "exit");
});

for (const [what, text] of Object.entries({
  nothing: "",
  garbage: "{",
  "a state that is not there": request(["/bin/true"]).replace(statePath, join(directory, "nowhere")),
  "a program that is not there": request([join(directory, "no-program")]),
})) {
  test(`${what} is left out`, () => {
    assert.equal(beginQemu(told(text)), null);
  });
}
