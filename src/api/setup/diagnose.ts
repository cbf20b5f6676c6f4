import { ProtocolError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, type Home } from "../../store/home.ts";
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
 * home directory, disk space, limits, the families of addresses that lead outside, whether guests can ping, and what jobs, events, SSH,
 * MCP and the dashboard need. Boots nothing.
 *
 * @example
 * ```ts
 * import { diagnose } from "microsandbox";
 *
 * for (const { name, status, detail } of await diagnose()) console.log(status, name, detail);
 * ```
 *
 * @throws RuntimeError when the process that looks ends without a word; IoError when it cannot be started
 */
export async function diagnose(options: WaitOptions = {}): Promise<Diagnosis> {
  return await Operation.run("examine the host", options, (operation) =>
    diagnoseHome(locateHome(), operation),
  );
}

/** The same for any home. */
export async function diagnoseHome(home: Home, { signal }: Operation): Promise<Diagnosis> {
  const answer = await askAboutHost(home, { type: "Diagnose" }, { signal });
  if (answer.type === "Diagnosis") return answer.findings;
  throw new ProtocolError(`a request for a diagnosis was answered with ${answer.type}`);
}
