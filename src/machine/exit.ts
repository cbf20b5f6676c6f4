import type { MachineExit } from "./types.ts";

/** What is known once QEMU has ended. */
export interface ExitEvidence {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why QEMU could not be run at all. */
  readonly spawnError: Error | null;
  /** We killed it. */
  readonly killRequested: boolean;
  /** We told it to quit. */
  readonly quitRequested: boolean;
  /** `reason` of QEMU's SHUTDOWN event (ShutdownCause in QEMU's qapi/run-state.json). */
  readonly shutdownReason: string | null;
  /** QEMU reported GUEST_PANICKED. */
  readonly panicked: boolean;
  /** The saved state was loaded, and the machine did not go on from it. */
  readonly restoreFailed: boolean;
  readonly consoleTail: string;
  readonly qemuOutput: string;
}

/** Signals that a process brings on itself. */
const crashSignals: ReadonlySet<string> = new Set([
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGSEGV",
  "SIGSYS",
  "SIGTRAP",
]);

/** Decides how a machine ended. */
export function classifyExit(evidence: ExitEvidence): MachineExit {
  const { code, signal, qemuOutput } = evidence;
  return { code, signal, qemuOutput, ...judge(evidence) };
}

function judge(evidence: ExitEvidence): Pick<MachineExit, "reason" | "detail"> {
  const { code, signal, spawnError, shutdownReason } = evidence;
  if (spawnError !== null) return { reason: "error", detail: `QEMU could not be run: ${spawnError.message}` };
  if (evidence.restoreFailed) {
    return {
      reason: "error",
      detail: withLastWords("QEMU could not go on from the saved state", evidence.qemuOutput),
    };
  }
  if (evidence.panicked || shutdownReason === "guest-panic") return panic(evidence.consoleTail);
  if (signal !== null && crashSignals.has(signal)) {
    return { reason: "error", detail: withLastWords(`QEMU crashed with ${signal}`, evidence.qemuOutput) };
  }
  if (signal !== null) {
    const who = evidence.killRequested ? "the supervisor" : "another process or the kernel";
    return { reason: "killed", detail: `QEMU was ended with ${signal} by ${who}` };
  }
  if (code !== 0)
    return { reason: "error", detail: withLastWords(`QEMU exited with code ${code}`, evidence.qemuOutput) };
  if (evidence.quitRequested && shutdownReason === "host-qmp-quit") {
    return { reason: "killed", detail: "QEMU quit, as the supervisor told it to" };
  }
  switch (shutdownReason) {
    case "guest-shutdown":
      return { reason: "poweroff", detail: "the guest powered off" };
    case "guest-reset":
    case "subsystem-reset":
      // Where the kernel has no driver for the panic device, a panic is a reboot that the console explains.
      if (panicLine(evidence.consoleTail) !== null) return panic(evidence.consoleTail);
      return { reason: "reset", detail: "the guest rebooted" };
    case "host-signal":
    case "host-qmp-quit":
    case "host-qmp-system-reset":
    case "host-ui":
      return { reason: "killed", detail: `QEMU was told to quit (${shutdownReason})` };
    case null:
      return { reason: "error", detail: "QEMU ended without saying why" };
    default:
      return { reason: "error", detail: `QEMU ended because of ${shutdownReason}` };
  }
}

function panic(consoleTail: string): Pick<MachineExit, "reason" | "detail"> {
  return { reason: "panic", detail: panicLine(consoleTail) ?? "the guest's kernel panicked" };
}

/** The kernel writes `Kernel panic - not syncing: <why>` and repeats it at the end after `---[`. */
function panicLine(consoleTail: string): string | null {
  return /Kernel panic - not syncing[^\r\n]*/.exec(consoleTail)?.[0] ?? null;
}

/** QEMU says what was wrong in its last line that is headed with its name, and its advice in those after it. */
function withLastWords(what: string, qemuOutput: string): string {
  const lines = qemuOutput.split(/\r?\n/).filter((line) => line.trim() !== "" && !line.includes("warning:"));
  const start = lines.findLastIndex((line) => /^[^ ]*qemu[^ ]*: /.test(line));
  const words = lines.slice(start).join(" ").trim();
  return words === "" ? what : `${what}: ${words}`;
}
