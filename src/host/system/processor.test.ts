import assert from "node:assert/strict";
import { cpus } from "node:os";
import { test } from "node:test";
import { processorIdentity, stableCpuinfo } from "./processor.ts";

const cpuinfo = (mhz: string, core: number, model: string): string =>
  [
    `processor\t: ${core}`,
    "vendor_id\t: AuthenticAMD",
    `model name\t: ${model}`,
    "microcode\t: 0x1000065",
    `cpu MHz\t\t: ${mhz}`,
    `core id\t\t: ${core}`,
    `apicid\t\t: ${core}`,
    `initial apicid\t: ${core}`,
    "flags\t\t: fpu vme de",
    "bogomips\t: 4500.00",
  ].join("\n");

test("is the same whatever the processor does at the moment, and another for another one", () => {
  const one = stableCpuinfo(`${cpuinfo("2250.000", 0, "A")}\n\n${cpuinfo("1500.123", 1, "A")}\n\n`);
  assert.equal(stableCpuinfo(`${cpuinfo("2600.5", 3, "A")}\n\n`), one);
  assert.notEqual(stableCpuinfo(cpuinfo("2250.000", 0, "B")), one);
  assert.match(one, /microcode/);
  assert.match(one, /flags/);
});

test("names the processor of this host, where there is no /proc too", async (t) => {
  const identity = await processorIdentity();
  assert.equal(await processorIdentity(), identity);
  assert.ok(identity.length > 0);
  const { model } = cpus()[0] ?? assert.fail();
  // Linux on arm64 has numbers there instead of a name.
  if (process.platform === "linux" && process.arch === "x64") assert.ok(identity.includes(model), identity);
  // Where there is no /proc.
  t.mock.property(process, "platform", "darwin");
  const elsewhere = await processorIdentity();
  assert.ok(elsewhere.includes(model), elsewhere);
});
