import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { HANDOVER_FORMAT } from "../contract/handover.ts";
import { prelaunchQemu, type PrelaunchedQemu } from "./prelaunch-qemu.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-prelaunch-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const statePath = join(directory, "state");

/** What arrives from whoever starts the supervisor. */
function handoverFd(text: string): number {
  const path = join(directory, "handover");
  writeFileSync(path, text);
  return openSync(path, "r");
}

function handover(command: string[]): string {
  writeFileSync(statePath, "the state");
  return JSON.stringify({
    format: HANDOVER_FORMAT,
    prelaunch: {
      kind: "qemu",
      command,
      isWatched: false,
      statePath,
      opening: "first words\n",
      bootFrames: Buffer.from("who you are\n").toString("base64"),
      network: null,
    },
  });
}

function running(text: string): PrelaunchedQemu {
  const { qemu } = prelaunchQemu(handoverFd(text));
  assert.ok(qemu.kind === "running", JSON.stringify(qemu));
  return qemu;
}

test("what it says is kept until somebody wants to know, also when it has ended", async () => {
  const { child, output } = running(handover(["/bin/sh", "-c", "echo why it ended >&2; exit 1"])).spawned;
  await once(child, "close");
  assert.equal(output.toString(), "why it ended\n");
});

test("it inherits the state, and its monitor and its guest hear what they are told", async () => {
  const script = "read -r opening <&3; read -r bootFrames <&5; cat <&7; echo /$opening/$bootFrames";
  const { child, output } = running(handover(["/bin/sh", "-c", script])).spawned;
  await once(child, "close");
  assert.equal(output.toString(), "the state/first words/who you are\n");
});

for (const [what, text, reason] of [
  ["nothing", "", /^nothing was handed over$/],
  ["garbage", "{", /JSON/],
  [
    "another format",
    handover(["/bin/true"]).replace(`"format":${HANDOVER_FORMAT}`, `"format":${HANDOVER_FORMAT + 1}`),
    /another version/,
  ],
  ["an order without a command", handover([]), /how to start QEMU/],
  [
    "an order of another kind",
    handover(["/bin/true"]).replace('"isWatched":false', '"isWatched":0'),
    /how to/,
  ],
  [
    "that there is no order",
    JSON.stringify({ format: HANDOVER_FORMAT, prelaunch: { kind: "none", reason: "no template" } }),
    /^no template$/,
  ],
  [
    "a state that is not there",
    handover(["/bin/true"]).replace(statePath, join(directory, "nowhere")),
    /ENOENT/,
  ],
  ["a program that is not there", handover([join(directory, "no-program")]), /could not be started/],
] as const) {
  test(`${what}: no QEMU, and why`, () => {
    const { qemu } = prelaunchQemu(handoverFd(text));
    assert.ok(qemu.kind === "none");
    assert.match(qemu.reason, reason);
  });
}
