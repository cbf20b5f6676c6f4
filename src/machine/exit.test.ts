import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyExit, type ExitEvidence } from "./exit.ts";

const clean: ExitEvidence = {
  code: 0,
  signal: null,
  spawnError: null,
  killRequested: false,
  quitRequested: false,
  shutdownReason: null,
  panicked: false,
  restoreFailed: false,
  consoleTail: "",
  qemuOutput: "",
};

const panicConsole =
  "[    2.9] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n[    2.9] CPU: 0\r\n";

const cases: readonly [string, Partial<ExitEvidence>, string, RegExp][] = [
  ["power-off", { shutdownReason: "guest-shutdown" }, "poweroff", /powered off/],
  ["reboot", { shutdownReason: "guest-reset" }, "reset", /rebooted/],
  ["panic told by the device", { shutdownReason: "guest-panic" }, "panic", /panicked/],
  [
    "panic event before a kill",
    { panicked: true, code: null, signal: "SIGKILL", killRequested: true },
    "panic",
    /panicked/,
  ],
  [
    "panic told by the console only",
    { shutdownReason: "guest-reset", consoleTail: panicConsole },
    "panic",
    /^Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100$/,
  ],
  [
    "power-off after a survived oops",
    { shutdownReason: "guest-shutdown", consoleTail: panicConsole },
    "poweroff",
    /off/,
  ],
  ["our kill", { code: null, signal: "SIGKILL", killRequested: true }, "killed", /SIGKILL by the supervisor/],
  ["our wish", { shutdownReason: "host-qmp-quit", quitRequested: true }, "killed", /as the supervisor told/],
  [
    "someone's SIGTERM after our wish",
    { shutdownReason: "host-signal", quitRequested: true },
    "killed",
    /host-signal/,
  ],
  ["someone's wish", { shutdownReason: "host-qmp-quit" }, "killed", /was told to quit \(host-qmp-quit\)/],
  ["someone's kill", { code: null, signal: "SIGKILL" }, "killed", /SIGKILL by another process/],
  ["someone's SIGTERM, which QEMU handles", { shutdownReason: "host-signal" }, "killed", /host-signal/],
  [
    "QEMU crashing",
    { code: null, signal: "SIGABRT", qemuOutput: "qemu: kvm.c:3183: Assertion failed.\n" },
    "error",
    /crashed with SIGABRT: qemu: kvm.c:3183/,
  ],
  [
    "QEMU refusing",
    {
      code: 1,
      qemuOutput: "qemu: warning: x\nqemu: -accel kvm: failed to initialize kvm: Device or resource busy\n",
    },
    "error",
    /exited with code 1: .*busy$/,
  ],
  [
    "QEMU refusing with advice",
    { code: 1, qemuOutput: "qemu-system-x86_64: Failed to get lock\nIs another process using it?\n" },
    "error",
    /exited with code 1: qemu-system-x86_64: Failed to get lock Is another process using it\?$/,
  ],
  [
    "a command before QEMU failing",
    { code: 126, qemuOutput: "msb-guard: 1: exec: permission denied\n" },
    "error",
    /exited with code 126: .*permission denied$/,
  ],
  ["QEMU failing in silence", { code: 1 }, "error", /exited with code 1$/],
  ["no reason at all", {}, "error", /without saying why/],
  ["a reason of a later QEMU", { shutdownReason: "host-error" }, "error", /host-error/],
  [
    "no process",
    { code: null, spawnError: new Error("spawn ENOENT") },
    "error",
    /could not be run: spawn ENOENT/,
  ],
];

for (const [name, changes, reason, detail] of cases) {
  test(`${name} is ${reason}`, () => {
    const evidence = { ...clean, ...changes };
    const exit = classifyExit(evidence);
    assert.equal(exit.reason, reason);
    assert.match(exit.detail, detail);
    assert.equal(exit.code, evidence.code);
    assert.equal(exit.qemuOutput, evidence.qemuOutput);
  });
}
