import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import {
  chooseAccelerator,
  rememberedVerdict,
  type AcceleratorChoice,
  type AcceleratorProbe,
} from "./accelerator.ts";
import { hostAccelerators, inspectKvm, type HostAccelerator } from "./host-accelerators.ts";
import type { QemuBinary } from "../qemu/qemu-binary.ts";
import type { GuestKernel } from "../types.ts";

const timeout = 120_000;
const qemu: QemuBinary = {
  path: "/usr/bin/qemu",
  version: "7.2.22",
  seccomp: true,
  lifeline: { kind: "watcher" },
  env: null,
  identity: "q1",
};
const kernel: GuestKernel = {
  vmlinux: "/k",
  initramfs: "/i",
  agentPath: null,
  custom: false,
  identity: "k1",
};
const tcg: HostAccelerator = { accelerator: "tcg", usable: true, detail: "", fix: "" };
const kvm: HostAccelerator = { accelerator: "kvm", usable: true, detail: "can be opened", fix: "" };
const noKvm: HostAccelerator = {
  accelerator: "kvm",
  usable: false,
  detail: "there is no /dev/kvm",
  fix: "Load kvm.",
};

let cacheDirectory = "";
const saved = process.env["MSB_ACCEL"];

beforeEach(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), "msb-accelerator-"));
  delete process.env["MSB_ACCEL"];
});

afterEach(async () => {
  if (saved === undefined) delete process.env["MSB_ACCEL"];
  else process.env["MSB_ACCEL"] = saved;
  await rm(cacheDirectory, { recursive: true });
});

function choose(
  changes: { qemu?: QemuBinary; kernel?: GuestKernel; candidates?: HostAccelerator[] } = {},
): Promise<AcceleratorChoice> {
  return chooseAccelerator({ cacheDirectory }, changes.qemu ?? qemu, changes.kernel ?? kernel, {
    candidates: changes.candidates ?? [kvm, tcg],
  });
}

async function chooseProbe(): Promise<AcceleratorProbe> {
  const { accelerator, probe } = await choose();
  assert.equal(accelerator, "kvm");
  assert.ok(probe);
  return probe;
}

test("hardware that works is used without a probe from then on", { timeout }, async () => {
  await (await chooseProbe()).succeeded();
  const again = await choose();
  assert.equal(again.accelerator, "kvm");
  assert.equal(again.probe, null);
  assert.match(again.why, /kvm works on this host/);
});

test("hardware that fails is replaced at once and not tried again", { timeout }, async () => {
  const fallback = await (await chooseProbe()).failed("the guest did not start within 10 s");
  for (const choice of [fallback, await choose()]) {
    assert.equal(choice.accelerator, "tcg");
    assert.equal(choice.probe, null);
    assert.match(choice.why, /kvm does not work on this host .*: the guest did not start within 10 s$/);
  }
  const verdict = await rememberedVerdict({ cacheDirectory }, qemu, kernel, "kvm");
  assert.equal(verdict?.works, false);
});

test("another QEMU, another kernel and another boot of the host are tried anew", { timeout }, async () => {
  await (await chooseProbe()).failed("x");
  const others = [{ qemu: { ...qemu, version: "8.0.0" } }, { kernel: { ...kernel, identity: "k2" } }];
  for (const other of others) {
    const { probe } = await choose(other);
    assert.ok(probe);
    await probe.succeeded();
  }
  // Verdicts about other kernels do not disturb each other.
  assert.equal((await choose()).accelerator, "tcg");
  assert.equal((await choose(others[0])).accelerator, "kvm");

  const path = join(cacheDirectory, "accelerator.json");
  const file = JSON.parse(await readFile(path, "utf8")) as { hostBoot: string };
  await writeFile(path, JSON.stringify({ ...file, hostBoot: "an earlier one" }));
  await (await chooseProbe()).abandoned();
});

test("a damaged file of verdicts is as good as none", { timeout }, async () => {
  for (const content of ["", "{", "[]", '{"format":1}', '{"format":1,"entries":[{"works":"yes"},null]}']) {
    await writeFile(join(cacheDirectory, "accelerator.json"), content);
    await (await chooseProbe()).abandoned();
  }
});

test("a probe that says nothing leaves the next start to try", { timeout }, async () => {
  await (await chooseProbe()).abandoned();
  await (await chooseProbe()).succeeded();
});

test("of many first starts one tries and the others wait for its verdict", { timeout }, async () => {
  const program = `
    import { chooseAccelerator } from ${JSON.stringify(import.meta.resolve("./accelerator.ts"))};
    const [cacheDirectory, qemu, kernel, candidates] = JSON.parse(process.argv[1]);
    const choice = await chooseAccelerator({ cacheDirectory }, qemu, kernel, { candidates });
    if (choice.probe === null) {
      process.stdout.write("followed " + choice.accelerator + "\\n");
    } else {
      process.stdout.write("probing\\n");
      await new Promise((resolve) => process.stdin.once("data", resolve));
      const fallback = await choice.probe.failed("tried");
      process.stdout.write("fell back to " + fallback.accelerator + "\\n");
      process.stdin.destroy();
    }
  `;
  const settings = JSON.stringify([cacheDirectory, qemu, kernel, [kvm, tcg]]);
  const starts = Array.from({ length: 6 }, () => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", program, settings], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      // The verdict may be given only now that this one is known to be the one that tries.
      if (output === "probing\n") child.stdin.write("go\n");
    });
    child.stdin.on("error", () => undefined);
    return once(child, "close").then(() => output.trim().split("\n"));
  });
  const outputs = await Promise.all(starts);
  assert.deepEqual(
    outputs.filter((lines) => lines[0] === "probing"),
    [["probing", "fell back to tcg"]],
  );
  assert.equal(outputs.filter((lines) => lines[0] === "followed tcg").length, 5);
});

test("a start that is killed while it tries does not hold up the next", { timeout }, async () => {
  const program = `
    import { chooseAccelerator } from ${JSON.stringify(import.meta.resolve("./accelerator.ts"))};
    const [cacheDirectory, qemu, kernel, candidates] = JSON.parse(process.argv[1]);
    await chooseAccelerator({ cacheDirectory }, qemu, kernel, { candidates });
    process.stdout.write("probing\\n");
    setInterval(() => undefined, 1000);
  `;
  const child = spawn(
    process.execPath,
    ["--input-type=module", "-e", program, JSON.stringify([cacheDirectory, qemu, kernel, [kvm, tcg]])],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(child.stdout, "data");
  const next = chooseProbe();
  const first = await Promise.race([
    next.then(() => "next"),
    new Promise((resolve) => setTimeout(resolve, 300, "waiting")),
  ]);
  assert.equal(first, "waiting");
  child.kill("SIGKILL");
  await (await next).abandoned();
});

test("MSB_ACCEL decides when it is set", { timeout }, async () => {
  process.env["MSB_ACCEL"] = "tcg";
  assert.deepEqual(await choose(), { accelerator: "tcg", why: "MSB_ACCEL asks for it", probe: null });
  process.env["MSB_ACCEL"] = "kvm";
  assert.deepEqual(await choose(), { accelerator: "kvm", why: "MSB_ACCEL asks for it", probe: null });
  await assert.rejects(choose({ candidates: [noKvm, tcg] }), (error) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.message, /asks for kvm, but there is no \/dev\/kvm/);
    assert.match(error.hint, /Load kvm\. Unset MSB_ACCEL/);
    return true;
  });
  process.env["MSB_ACCEL"] = "hvf";
  await assert.rejects(choose(), InvalidConfigError);
  process.env["MSB_ACCEL"] = "xen";
  await assert.rejects(choose(), /MSB_ACCEL is "xen"/);
  process.env["MSB_ACCEL"] = "auto";
  await (await chooseProbe()).abandoned();
});

test("without hardware the choice says why", { timeout }, async () => {
  const choice = await choose({ candidates: [noKvm, tcg] });
  assert.equal(choice.accelerator, "tcg");
  assert.equal(choice.probe, null);
  assert.match(choice.why, /there is no \/dev\/kvm\. Load kvm\./);
  assert.equal((await choose({ candidates: [tcg] })).accelerator, "tcg");
});

test("a KVM device that is not there or not a device is not usable", { timeout }, async () => {
  const missing = await inspectKvm(join(cacheDirectory, "kvm"));
  assert.equal(missing.usable, false);
  assert.match(missing.detail, /there is no/);
  const directory = await inspectKvm(cacheDirectory);
  assert.equal(directory.usable, false);
  assert.match(directory.detail, /EISDIR/);
  assert.notEqual(directory.fix, "");
});

test("software emulation is the last resort on every host", { timeout }, async () => {
  const candidates = await hostAccelerators();
  assert.deepEqual(candidates.at(-1)?.accelerator, "tcg");
  assert.equal(candidates.at(-1)?.usable, true);
});
