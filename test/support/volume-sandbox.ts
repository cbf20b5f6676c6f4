import { mkdirSync } from "node:fs";
import type { Home } from "../../src/store/home.ts";
import { createSandboxDirectory } from "../../src/store/sandboxes.ts";
import { sandboxRecord } from "./sandbox-record.ts";

/** Makes the directory of a sandbox that has a volume and was never started. @returns its id */
export async function sandboxWithVolume(home: Home, name: string, volume: string): Promise<string> {
  mkdirSync(home.sandboxes, { recursive: true });
  const record = sandboxRecord(name, { volumes: { "/data": { named: volume } } });
  await (await createSandboxDirectory(home, record)).release();
  return record.id;
}
