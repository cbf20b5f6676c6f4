import assert from "node:assert/strict";
import { test } from "node:test";
import { handoverSample } from "../../../test/support/handover-sample.ts";
import type { SpawnedQemu } from "../../machine/qemu/spawn.ts";
import { HandoverError } from "../contract/handover-schema.ts";
import { receive, handedOverInputs } from "./receive.ts";

const { prelaunch, inputs } = handoverSample;
const { upperPath } = prelaunch;
const spawned = {} as SpawnedQemu;
const running = { kind: "running", spawned, startedAtMs: 1 } as const;
const notStarted = { kind: "none", reason: "ENOENT", isOtherVersion: false } as const;

test("a QEMU that runs as it was ordered is gone on with", () => {
  assert.deepEqual(receive({ rawHandover: handoverSample, qemu: running }, upperPath), {
    inputs,
    prelaunch: { ...running, order: prelaunch },
  });
});

test("where none was ordered the rest of what was told is used", () => {
  const rawHandover = { ...handoverSample, prelaunch: { kind: "none", reason: "no template" } };
  const received = receive({ rawHandover, qemu: { ...notStarted, reason: "no template" } }, upperPath);
  assert.deepEqual(handedOverInputs(received, upperPath), inputs);
  assert.throws(() => handedOverInputs({ ...received, inputs: {} }, upperPath), HandoverError);
  assert.ok(received.prelaunch.kind === "none");
  assert.equal(received.prelaunch.reason, "no template");
  assert.equal(received.prelaunch.isFault, false);
  assert.equal(received.prelaunch.strayUpper, null);
});

test("what turned out to be wrong is found out again, and the disk that was made for it is made anew", () => {
  const received = receive({ rawHandover: handoverSample, qemu: notStarted }, upperPath);
  assert.deepEqual(received, {
    inputs: null,
    prelaunch: { kind: "none", reason: "ENOENT", isFault: false, stray: null, strayUpper: upperPath },
  });
});

for (const [what, rawHandover, isFault, strayUpper] of [
  ["of another version", { ...handoverSample, protocolVersion: 0 }, false, upperPath],
  ["that is not valid", { ...handoverSample, prelaunch: { ...prelaunch, template: {} } }, true, upperPath],
  ["for another disk", { ...handoverSample, prelaunch: { ...prelaunch, upperPath: "/other" } }, true, null],
] as const) {
  test(`a QEMU is left to be ended when it was started with something ${what}`, () => {
    const received = receive({ rawHandover, qemu: running }, upperPath);
    assert.equal(received.inputs, null);
    assert.ok(received.prelaunch.kind === "none");
    assert.equal(received.prelaunch.stray, spawned);
    assert.equal(received.prelaunch.isFault, isFault);
    assert.equal(received.prelaunch.strayUpper, strayUpper);
  });
}

const { root } = inputs;
for (const [place, other] of [
  ["upper.path", { ...root, upper: { ...root.upper, path: "/other" } }],
  ["template.upperPath", { ...root, template: { ...root.template, upperPath: "/other" } }],
] as const) {
  test(`inputs whose root.${place} is another file than the sandbox's disk are refused`, () => {
    const rawHandover = { ...handoverSample, inputs: { ...inputs, root: other } };
    const received = receive({ rawHandover, qemu: running }, upperPath);
    assert.throws(
      () => handedOverInputs(received, upperPath),
      (error) => error instanceof HandoverError && error.message.startsWith(`inputs.root.${place}: /other`),
    );
  });
}

test("a root without a disk of its own has none to be another one", () => {
  const rawHandover = {
    ...handoverSample,
    inputs: { ...inputs, root: { ...root, upper: null, template: null } },
  };
  assert.notEqual(handedOverInputs(receive({ rawHandover, qemu: running }, upperPath), upperPath), null);
});
