import { draftFromConfig, type SandboxConfigInput } from "../../src/config/sandbox/config-object.ts";
import { effectiveConfig } from "../../src/config/sandbox/effective-config.ts";
import { newRecord, type SandboxRecord } from "../../src/store/sandbox-record.ts";
import { newSandboxId } from "../../src/store/sandboxes.ts";

/** The record of a sandbox of `localhost/base`, with what else is said of it. */
export function sandboxRecord(
  name: string,
  {
    createdAt = new Date().toISOString(),
    ...config
  }: Partial<SandboxConfigInput> & { createdAt?: string } = {},
): SandboxRecord {
  const asked = draftFromConfig({ image: "localhost/base", ...config, name }).finish();
  return newRecord({ id: newSandboxId(), name, createdAt, config: effectiveConfig(asked, {}, null) });
}
