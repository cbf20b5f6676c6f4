import { SandboxAlreadyExistsError } from "../../errors/index.ts";
import { locateHome } from "../../store/home.ts";
import { nameExists } from "../../store/sandboxes.ts";
import { findHandle } from "./list.ts";
import type { StartObserver } from "./progress.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";

/** Two programs may ask for the same name at once: whoever loses the race to create it connects. */
export async function connectOrCreate(
  config: SandboxConfig,
  create: () => Promise<Sandbox>,
  observer: StartObserver,
): Promise<Sandbox> {
  if (!(await nameExists(locateHome(), config.name))) {
    try {
      return await create();
    } catch (error) {
      if (!(error instanceof SandboxAlreadyExistsError)) throw error;
    }
  }
  const handle = await findHandle(config.name);
  return await handle.connectOrStart({ detached: config.detached, ...observer });
}
