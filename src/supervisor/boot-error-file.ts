import { rm } from "node:fs/promises";
import { BootStartError, MicrosandboxError } from "../errors/index.ts";
import { writeFileAtomically } from "../host/files/atomic-file.ts";

/** Keeps the last failed start for `msb logs`, until the next good one. */
export async function recordBootError(path: string, error: unknown): Promise<void> {
  const boot = error instanceof BootStartError ? error : null;
  const content = {
    t: new Date().toISOString(),
    stage: boot?.stage ?? "other",
    errno: boot?.errno ?? null,
    message: error instanceof Error ? error.message : String(error),
    hint: error instanceof MicrosandboxError ? error.hint : "",
    consoleTail: boot?.consoleTail ?? "",
    qemuOutput: boot?.qemuOutput ?? "",
  };
  await writeFileAtomically(path, JSON.stringify(content, null, 2) + "\n");
}

export async function clearBootError(path: string): Promise<void> {
  await rm(path, { force: true });
}
