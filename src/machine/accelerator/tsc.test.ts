import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isSameTsc, measureTscKhz, parseKhz } from "./tsc.ts";
import type { GuestKernel } from "../types.ts";

test("takes only a number that a processor can have", () => {
  assert.equal(parseKhz("2250000\n"), 2_250_000);
  for (const text of [
    "",
    "\n",
    "0\n",
    "99\n",
    "2250000 kHz\n",
    "-2250000\n",
    "1e7\n",
    "99999999999\n",
    "NaN",
  ]) {
    assert.equal(parseKhz(text), null, JSON.stringify(text));
  }
});

test("two measurements are of one counter when a guest's clock goes right with either", () => {
  const khz = 2_250_000;
  // What the measuring, a quartz and NTP make of it.
  for (const other of [khz, khz - 1, khz + 1, khz + 22, khz - 200]) {
    assert.ok(isSameTsc(khz, other), String(other));
    assert.ok(isSameTsc(other, khz), String(other));
  }
  // One more second in an hour, the next processor of a line, none.
  for (const other of [khz + khz / 3600, khz - khz / 3600, 2_300_000, 0]) {
    assert.ok(!isSameTsc(khz, other), String(other));
    assert.ok(!isSameTsc(other, khz), String(other));
  }
});

test("asks the agent once per boot of the host", { timeout: 120_000 }, async (t) => {
  if (process.platform !== "linux" || process.arch !== "x64") {
    t.skip("measured on Linux on x86-64 only");
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), "msb-tsc-"));
  t.after(() => rm(directory, { recursive: true }));
  const agentPath = join(directory, "agent");
  const answer = async (body: string): Promise<void> => {
    await writeFile(agentPath, `#!/bin/sh\n[ "$1" = --measure-tsc ] || exit 1\n${body}\n`);
    await chmod(agentPath, 0o755);
  };
  const kernel: GuestKernel = { vmlinux: "", initramfs: "", agentPath, custom: false, identity: "" };

  await answer("echo sorry");
  assert.equal(await measureTscKhz(kernel, directory), null);
  await answer("echo 2000000; exit 1");
  assert.equal(await measureTscKhz(kernel, directory), null);
  await answer("echo 2000000");
  assert.equal(await measureTscKhz(kernel, directory), 2_000_000);
  await answer("echo 3000000");
  assert.equal(await measureTscKhz(kernel, directory), 2_000_000);

  const cacheFile = join(directory, "tsc.json");
  const cached = JSON.parse(await readFile(cacheFile, "utf8")) as { hostBoot: string };
  await writeFile(cacheFile, JSON.stringify({ ...cached, hostBoot: "an earlier one" }));
  assert.equal(await measureTscKhz(kernel, directory), 3_000_000);

  assert.equal(await measureTscKhz({ ...kernel, agentPath: null }, directory), null);
});
