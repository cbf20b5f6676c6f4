import { mkdirSync } from "node:fs";
import { draftFromConfig } from "../../src/config/sandbox/config-object.ts";
import { effectiveConfig } from "../../src/config/sandbox/effective-config.ts";
import type { Home } from "../../src/store/home.ts";
import { newRecord } from "../../src/store/sandbox-record.ts";
import { createSandboxDirectory, newSandboxId } from "../../src/store/sandboxes.ts";

/** Makes the directory of a sandbox that has a volume and was never started. @returns its id */
export async function sandboxWithVolume(home: Home, name: string, volume: string): Promise<string> {
  mkdirSync(home.sandboxes, { recursive: true });
  const asked = draftFromConfig({
    name,
    image: "localhost/base",
    volumes: { "/data": { named: volume } },
  }).finish();
  const config = effectiveConfig(asked, {}, null);
  const id = newSandboxId();
  const record = newRecord({ id, name, createdAt: new Date().toISOString(), config });
  await (await createSandboxDirectory(home, record)).release();
  return id;
}
