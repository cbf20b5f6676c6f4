import assert from "node:assert/strict";
import { test } from "node:test";
import type { SuspensionRecord } from "../../store/suspension.ts";
import type { MachineFacts } from "./machine-facts.ts";
import { differences } from "./same-host.ts";
import { suspensionSample } from "../../../test/support/suspension-sample.ts";

const facts: MachineFacts = {
  ...{
    machineKey: "key",
    accelerator: "kvm",
    qemuVersion: "7.2.22",
    kernel: "k",
    authority: null,
    tscKhz: null,
  },
  processor: { model: "Example 9000", identity: "p" },
  ...{ disks: [], files: null },
};
const suspended: SuspensionRecord = {
  ...suspensionSample,
  description: {
    ...{ qemuVersion: "7.2.22", accelerator: "kvm", kernelRelease: "6.1.0-57" },
    ...{ kernel: "k", processor: { model: "Example 9000", identity: "p" } },
  },
};

test("a guest goes on where everything is as it was", () => {
  assert.equal(differences(suspended, facts), null);
});

test("what is different is said by its name", () => {
  const cases: [Partial<MachineFacts>, string][] = [
    [{ accelerator: "tcg" }, "the accelerator was kvm, and is tcg"],
    [{ qemuVersion: "9.0.0" }, "QEMU was 7.2.22, and is 9.0.0"],
    [{ kernel: "another" }, "the guest's kernel (6.1.0-57) or the agent was replaced"],
    [
      { processor: { model: "Example 7000", identity: "q" } },
      "the host's processor was Example 9000, and is Example 7000",
    ],
    [
      { processor: { model: "Example 9000", identity: "q" } },
      "the host's processor (Example 9000) has other features or another microcode",
    ],
  ];
  for (const [change, told] of cases) {
    // All of it is in the key too.
    assert.equal(differences(suspended, { ...facts, machineKey: "other", ...change }), told);
  }
  const both = differences(suspended, { ...facts, qemuVersion: "9.0.0", kernel: "another" }, ["a disk"]);
  assert.equal(
    both,
    "QEMU was 7.2.22, and is 9.0.0; the guest's kernel (6.1.0-57) or the agent was replaced; a disk",
  );
});

test("what only the key knows is not taken for the same, nor what an older version has left out", () => {
  const older = { ...suspended.description, kernel: null, processor: null };
  const other = { ...facts, machineKey: "other" };
  for (const description of [suspended.description, older])
    assert.match(differences({ ...suspended, description }, other) ?? "", /has changed/);
  assert.equal(differences({ ...suspended, description: older }, facts), null);
});
