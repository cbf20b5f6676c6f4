import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import type { SandboxConfigInput } from "../../src/config/sandbox/config-object.ts";
import type { Home } from "../../src/store/home.ts";
import type { SandboxRecord } from "../../src/store/sandbox-record.ts";
import { createSandboxDirectory, sandboxPaths } from "../../src/store/sandboxes.ts";
import type { SandboxStatus } from "../../src/config/enums.ts";
import { initialState, writeState } from "../../src/store/state.ts";
import { sandboxRecord } from "./sandbox-record.ts";

export const diskBytes = 64 * 1024 * 1024;

/** Makes the directory of a sandbox that has run: its disk has `content` in two places, between holes. */
export async function stoppedSandbox(
  home: Home,
  name: string,
  {
    content = "content",
    status = "stopped",
    snapshotDigest = null,
    imageDigest = null,
    ...config
  }: Partial<SandboxConfigInput> & {
    readonly content?: string | null;
    readonly status?: SandboxStatus;
    readonly snapshotDigest?: string | null;
    readonly imageDigest?: string | null;
  } = {},
): Promise<SandboxRecord> {
  mkdirSync(home.sandboxes, { recursive: true });
  const made = sandboxRecord(name, config);
  const record = { ...made, config: { ...made.config, snapshotDigest, imageDigest } };
  await (await createSandboxDirectory(home, record)).release();
  const paths = sandboxPaths(home, name);
  if (content !== null) writeDisk(paths.upper, content);
  await writeState(paths.state, { ...initialState(), status });
  return record;
}

function writeDisk(path: string, content: string): void {
  const file = openSync(path, "w");
  ftruncateSync(file, diskBytes);
  writeSync(file, Buffer.from(content.repeat(1000)), 0, undefined, 8192);
  writeSync(file, Buffer.from(content), 0, undefined, diskBytes - 5000);
  closeSync(file);
}
