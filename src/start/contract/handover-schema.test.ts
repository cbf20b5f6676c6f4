import assert from "node:assert/strict";
import { test } from "node:test";
import { handoverSample } from "../../../test/support/handover-sample.ts";
import { HANDOVER_FORMAT, type Handover } from "./handover.ts";
import { checkEnvelope, checkInputs, encodeHandover, HandoverError } from "./handover-schema.ts";

const { prelaunch, inputs } = handoverSample;

function checkHandover(rawHandover: unknown): Handover {
  const envelope = checkEnvelope(rawHandover);
  return { ...envelope, inputs: checkInputs(envelope.inputs) };
}

test("what is written is read as it was", () => {
  const nothing: Handover = {
    ...handoverSample,
    prelaunch: { kind: "none", reason: "no template" },
    inputs: null,
  };
  for (const handover of [handoverSample, nothing]) {
    assert.deepEqual(checkHandover(JSON.parse(encodeHandover(handover))), handover);
  }
});

/** Each is wrong in one place. */
const wrong: Record<string, object> = {
  format: { ...handoverSample, format: HANDOVER_FORMAT + 1 },
  protocolVersion: { ...handoverSample, protocolVersion: "3" },
  "prelaunch.kind": { ...handoverSample, prelaunch: { kind: "later" } },
  "prelaunch.command": { ...handoverSample, prelaunch: { ...prelaunch, command: [] } },
  "prelaunch.bootFrames": { ...handoverSample, prelaunch: { ...prelaunch, bootFrames: "no base64" } },
  "prelaunch.upperPath": { ...handoverSample, prelaunch: { ...prelaunch, upperPath: "upper.img" } },
  "prelaunch.template.key": {
    ...handoverSample,
    prelaunch: { ...prelaunch, template: { ...prelaunch.template, key: "../other" } },
  },
  "inputs.kernel.custom": {
    ...handoverSample,
    inputs: { ...inputs, kernel: { ...inputs.kernel, custom: 0 } },
  },
  "inputs.keys": { ...handoverSample, inputs: { ...inputs, keys: undefined } },
  "inputs.keys.machine": {
    ...handoverSample,
    inputs: { ...inputs, keys: { ...inputs.keys, machine: "../other" } },
  },
  "inputs.keys.image": {
    ...handoverSample,
    inputs: { ...inputs, keys: { ...inputs.keys, image: "../other" } },
  },
};

for (const [path, rawHandover] of Object.entries(wrong)) {
  test(`a wrong ${path} is refused by name at both ends`, () => {
    assert.throws(
      () => checkHandover(rawHandover),
      (error) => error instanceof HandoverError && error.message.startsWith(`${path}: `),
    );
    const written = JSON.parse(encodeHandover(rawHandover as Handover)) as Handover;
    assert.equal(written.inputs, null);
    assert.ok(written.prelaunch.kind === "none");
    assert.match(written.prelaunch.reason, new RegExp(`^the plan is not valid: ${path}: `));
  });
}
