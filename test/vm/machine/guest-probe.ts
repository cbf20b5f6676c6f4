import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ExecHandle, Sandbox } from "../../../src/index.ts";

const guestPath = "/run/probe";

/** `test/guest-probe/probe.rs` as a program that runs in every guest. */
export async function buildProbe(): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), "msb-probe-"));
  try {
    const source = fileURLToPath(new URL("../../guest-probe/probe.rs", import.meta.url));
    const program = join(directory, "probe");
    const flags = ["--edition", "2021", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols"];
    await promisify(execFile)("rustc", [...flags, "-o", program, source]);
    return await readFile(program);
  } finally {
    await rm(directory, { recursive: true });
  }
}

export async function installProbe(sandbox: Sandbox, probe: Buffer): Promise<void> {
  const result = await sandbox.execWith("sh", (options) =>
    options.args(["-c", `cat > ${guestPath} && chmod 755 ${guestPath}`]).stdinBytes(probe),
  );
  if (result.code !== 0) throw new Error(result.stderr());
}

/** What the kernel gave a process that was started for this question. */
export interface ProcessFacts {
  /** The bytes behind AT_RANDOM, hexadecimal: where programs get the seeds of their hash tables and stack guards from. */
  readonly given: string;
  /** Of getrandom(2), hexadecimal. */
  readonly random: string;
  /** Addresses. */
  readonly stack: string;
  readonly program: string;
}

export async function askProcess(sandbox: Sandbox): Promise<ProcessFacts> {
  const result = await sandbox.exec(guestPath);
  const [given = "", random = "", stack = "", program = ""] = result.stdout().trim().split(" ");
  if (program === "") throw new Error(`the probe says ${result.stdout()} ${result.stderr()}`);
  return { given, random, stack, program };
}

export interface ClockReading {
  /** How far the guest's clock is ahead of the host's, ms: more than `least` and less than `most`. */
  readonly least: number;
  readonly most: number;
  /** Since the guest booted, or since what it was copied from did, ns. */
  readonly monotonicNs: number;
}

/** Node tells the time in whole ms. */
const hostPrecisionMs = 1;

/**
 * Compares the guest's clock with the host's: each answer of the guest's is later than its question and earlier than its
 * arrival. Asks until that says enough, because a busy host may let the guest wait at any point.
 */
export async function readClock(sandbox: Sandbox, precisionMs = 20): Promise<ClockReading> {
  const handle = await sandbox.execStreamWith(guestPath, (options) => options.arg("clock").stdinPipe());
  const stdin = handle.takeStdin();
  if (stdin === null) throw new Error("the probe has no standard input");
  for (;;) {
    const asked = Date.now();
    await stdin.write("\n");
    const [realtime = "", monotonic = ""] = (await nextLine(handle)).split(" ");
    const answered = Date.now();
    if (answered - asked > precisionMs) continue;
    await stdin.close();
    await handle.wait();
    const guestMs = Number(BigInt(realtime) / 1000n) / 1000;
    return {
      least: guestMs - answered - hostPrecisionMs,
      most: guestMs - asked,
      monotonicNs: Number(monotonic),
    };
  }
}

async function nextLine(handle: ExecHandle): Promise<string> {
  let line = "";
  while (!line.endsWith("\n")) {
    const event = await handle.recv();
    if (event === null || event.kind === "exited") throw new Error(`the probe has ended after: ${line}`);
    if (event.kind === "stdout") line += event.data.toString();
  }
  return line.trim();
}
