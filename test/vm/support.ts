import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { Sandbox, type ExecHandle, type SandboxMetrics } from "../../src/index.ts";

/**
 * Gives this test file a home of its own and, unless MSB_ACCEL says otherwise, software emulation, which works on every
 * machine. Call it before anything that uses a sandbox. Whatever the tests leave running is killed at the end.
 *
 * @param options.ownTemplates for tests that look at the templates themselves. All others share those of one run of all files
 *   (`scripts/test-vm.ts`).
 */
export function useTemporaryHome({ ownTemplates = false } = {}): string {
  const home = mkdtempSync(join(tmpdir(), "msb-test-"));
  if (!ownTemplates) shareTemplates(home);
  process.env["MSB_HOME"] = home;
  process.env["MSB_ACCEL"] ??= "tcg";
  after(async () => {
    for (const handle of await Sandbox.list()) await handle.kill();
    rmSync(home, { recursive: true, force: true });
  });
  return home;
}

/** Gives a home the templates of this run of all files, if there is one. */
export function shareTemplates(home: string): void {
  const templates = process.env["MSB_TEST_TEMPLATES"];
  if (templates !== undefined) symlinkSync(templates, join(home, "templates"));
}

/** Reads a command's events until it has printed something, and lets it go on. */
export async function printed(handle: ExecHandle): Promise<void> {
  for (let event = await handle.recv(); event?.kind !== "stdout"; event = await handle.recv())
    if (event === null) throw new Error("it has ended without a word");
}

/** Waits until `look` gives something other than null, looking again every few ms; fails after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | null>,
  timeoutMs = 120_000,
): Promise<T> {
  const giveUpAt = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > giveUpAt) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Fails unless the guest's clock is within 50 ms of the host's. It is right once the guest has answered anything; the first command is one. */
export async function clockIsRight(sandbox: Sandbox): Promise<void> {
  const from = Date.now();
  await sandbox.shell("touch /dev/shm/now");
  const to = Date.now();
  const { modified } = await sandbox.fs().stat("/dev/shm/now");
  const seen = modified?.getTime() ?? Number.NaN;
  assert.ok(seen > from - 50 && seen < to + 50, `${sandbox.name}: ${seen} is not from ${from} to ${to}`);
}

/** A sample in which the guest has its part: on a busy host a guest may not answer in time, and is left out. */
export function metricsOfGuest(sandbox: Sandbox): Promise<SandboxMetrics> {
  return eventually("the guest's part of a sample", async () => {
    const sample = await sandbox.metrics();
    return sample.memoryAvailableBytes === null ? null : sample;
  });
}
