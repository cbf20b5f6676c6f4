import { ProtocolError, RuntimeError } from "../../errors/index.ts";
import { locateHome } from "../../store/home.ts";
import { askAboutHost } from "./host-request.ts";

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
  try {
    const answer = await askAboutHost(locateHome(), { type: "Diagnose" });
    if (answer.type === "Diagnosis") return answer.findings;
    throw new ProtocolError(`a request for a diagnosis was answered with ${answer.type}`);
  } catch (error) {
    throw new RuntimeError("the host cannot be examined", { cause: error });
  }
}
