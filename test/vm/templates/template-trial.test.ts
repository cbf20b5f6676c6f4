import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { promisify } from "node:util";
import { Sandbox } from "../../../src/index.ts";
import { findQemu } from "../../../src/machine/qemu/qemu-binary.ts";
import { hostAccelerators } from "../../../src/machine/accelerator/host-accelerators.ts";
import type { Verdict } from "../../../src/machine/accelerator/verdicts.ts";
import { measureTscKhz } from "../../../src/machine/accelerator/tsc.ts";
import { resolveKernel } from "../../../src/machine/kernel/kernel.ts";
import { warmImage } from "../../../src/api/setup/warm.ts";
import { guestDirectory } from "../../../src/host/package-files.ts";
import { processesGone, processOf, smallMemory, timeout, withEnvironment } from "../lifecycle-support.ts";
import { output } from "../images/root-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { destroy, kindsOf, runtimeLog, small, templateOf, templatesOf } from "./template-support.ts";

export const needs: Needs = ["template", "kvm"];

// Hardware acceleration that nobody knows to work: whether it does is found out by a boot, never by a restore. The hardware is
// this host's if it has any; QEMU is told to use it and uses software emulation, so that the outcome is known.
process.env["MSB_TEMPLATES"] = "on";
const home = useTemporaryHome({ ownTemplates: true });
const [hardware] = await hostAccelerators();
const skip =
  hardware?.accelerator === "kvm" && hardware.usable && process.arch === "x64"
    ? false
    : "without /dev/kvm nothing is tried";
const verdicts = join(home, "cache", "accelerator.json");
const broken = join(home, "kvm-is-broken");

before(async () => {
  const { path } = await findQemu();
  const kernel = await resolveKernel({
    path: null,
    guestDirectory: guestDirectory(),
    stagingDirectory: home,
  });
  const tscKhz = await measureTscKhz(kernel, home);
  // What the supervisor adds itself when it knows that the processor is emulated.
  const clock = tscKhz === null ? "" : ` tsc_early_khz=${tscKhz} tsc=reliable`;
  const source = `#!/bin/sh
    if [ -e ${broken} ]; then
      case " $* " in *" -accel kvm "*) echo "failed to initialize kvm" >&2; exit 1;; esac
    fi
    kvm=no
    for word; do
      shift
      if [ "$word" = kvm ]; then kvm=yes; word=tcg,tb-size=128,thread=multi; fi
      if [ $kvm = yes ]; then
        case $word in host) word=max;; console=*) word="$word${clock}";; esac
      fi
      set -- "$@" "$word"
    done
    exec ${path} "$@"
  `;
  const qemu = join(home, "hardware-qemu");
  await writeFile(qemu, source, { mode: 0o755 });
  process.env["MSB_QEMU"] = qemu;
  process.env["MSB_ACCEL"] = "auto";
});

afterEach(() => processesGone(home));

/** @returns what its log says about the accelerator and templates */
async function start(name: string): Promise<string> {
  const sandbox = await small(name);
  assert.equal(await output(sandbox, "hostname"), name);
  await processOf(home, name, "qemu");
  const log = await runtimeLog(home, name);
  await destroy(sandbox);
  return log;
}

/** A start by which the hardware is tried. A host that is so busy that the trial takes too long says nothing: once more. */
async function startOnTrial(name: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    await rm(verdicts, { force: true });
    const log = await start(`${name}-${attempt}`);
    assert.match(log, /starting with kvm: kvm has not been tried/);
    if (attempt === 5 || !/did not boot under kvm within/.test(log)) return log;
  }
}

async function verdict(): Promise<boolean> {
  return (await verdictOnKvm()).works;
}

async function verdictOnKvm(): Promise<Verdict> {
  const { entries } = JSON.parse(await readFile(verdicts, "utf8")) as { entries: Verdict[] };
  const found = entries.find(({ accelerator }) => accelerator === "kvm");
  assert.ok(found, "kvm has not been tried");
  return found;
}

test("what was made by the boot that tried the hardware is used at once", { timeout, skip }, async () => {
  const log = await startOnTrial("first");
  assert.match(
    log,
    /made the machine template[^]*made the image template[^]*started from the image template/,
  );
  assert.equal(await verdict(), true);
  const { key } = await templateOf(home, "image");
  assert.match(await start("second"), new RegExp(`started from the image template ${key}`));
});

test("with templates there, hardware that is on trial is tried by a boot", { timeout, skip }, async () => {
  const before = await templatesOf(home);
  const log = await startOnTrial("tried");
  assert.doesNotMatch(log, /started from|made the|dropped|WARN/);
  assert.equal(await verdict(), true);
  assert.deepEqual(await templatesOf(home), before);
  assert.match(await start("after"), /started from the image template/);
});

test(
  "hardware that turns out not to work has not been asked to restore anything",
  { timeout, skip },
  async () => {
    const before = await templatesOf(home);
    await writeFile(broken, "");
    await rm(verdicts);
    const notices: string[] = [];
    const sandbox = await Sandbox.builder("broken")
      .image("localhost/base")
      .memory(smallMemory)
      .logLevel("info")
      .onNotice((notice) => notices.push(notice))
      .create();
    assert.equal(await output(sandbox, "hostname"), "broken");
    assert.deepEqual(notices, [
      'kvm does not work on this host: sandboxes run in software emulation (tcg), which is slower. "msb doctor" says why.',
    ]);
    const log = await runtimeLog(home, "broken");
    await destroy(sandbox);
    assert.match(log, /kvm does not work here: kvm failed: failed to initialize kvm/);
    assert.match(log, /starting with tcg[^]*started from the image template/);
    assert.doesNotMatch(log, /dropped/);
    assert.equal(await verdict(), false);
    // Its templates are kept: another QEMU or kernel may make it work again.
    assert.deepEqual(await kindsOf(home), ["image", "image", "machine", "machine"]);
    const keys = (await templatesOf(home)).map(({ key }) => key);
    for (const { key } of before) assert.ok(keys.includes(key), key);
    await withEnvironment({ MSB_ACCEL: "tcg" }, async () => {
      assert.match(await start("software"), /started from the image template/);
    });
  },
);

test(
  "the quickstart shows each stage once, however often it was gone through",
  { timeout, skip },
  async () => {
    await rm(verdicts);
    const example = join(import.meta.dirname, "..", "..", "..", "examples", "quickstart.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [example]);
    assert.match(stdout, /kvm does not work on this host/);
    assert.equal(stdout.split("boot the kernel").length, 2, stdout);
  },
);

test("an image template alone says no more about hardware on trial", { timeout, skip }, async () => {
  await rm(broken);
  const machines = (await templatesOf(home)).filter(({ kind }) => kind === "machine");
  for (const { directory } of machines) await rm(directory, { recursive: true });
  const log = await startOnTrial("alone");
  assert.doesNotMatch(log, /started from|made the|dropped|WARN/);
  assert.equal(await verdict(), true);
  assert.match(await start("after-alone"), /started from the image template/);
});

test("warming ends a trial too", { timeout, skip }, async () => {
  assert.equal(await warmImage("localhost/base", () => undefined), "made");
  // As a start: a host that is too busy says nothing.
  for (let attempt = 1; attempt <= 5; attempt++) {
    await rm(verdicts);
    assert.equal(await warmImage("localhost/base", () => undefined), "ready");
    const { works, reason } = await verdictOnKvm();
    if (works || !/did not boot under kvm within/.test(reason)) break;
  }
  assert.equal(await verdict(), true);
});
