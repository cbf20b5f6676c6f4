import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { RuntimeError } from "../../errors/index.ts";
import { supervisorProgram } from "../../host/package-files.ts";

/** One fact about this host. */
export interface DiagnosisItem {
  /** Such as `qemu`, `kernel`, `accelerator kvm`. */
  readonly name: string;
  readonly status: "ok" | "warning" | "problem" | "info";
  readonly detail: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly fix: string;
}

export type Diagnosis = readonly DiagnosisItem[];

/**
 * Looks at everything on this host that a sandbox needs: QEMU, the accelerator and why, the guest kernel, the agent, the
 * home directory, disk space, limits. Boots nothing.
 *
 * @example
 * ```ts
 * import { diagnose } from "microsandbox";
 *
 * for (const { name, status, detail } of await diagnose()) console.log(status, name, detail);
 * ```
 */
export async function diagnose(): Promise<Diagnosis> {
  // The process that runs a sandbox is the one that knows: it looks from where it would run.
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [supervisorProgram(), "--diagnose"]);
    return JSON.parse(stdout) as Diagnosis;
  } catch (error) {
    throw new RuntimeError("the host cannot be examined", { cause: error });
  }
}
