import { SandboxAlreadyExistsError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import { nameExists } from "../../store/sandboxes.ts";
import { createSandbox } from "./create.ts";
import { findHandle } from "./list.ts";
import { observerCallbacks, type CreateObserver } from "./progress.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";

/** Two programs may ask for the same name at once: whoever loses the race to create it connects. */
export async function connectOrCreate(
  config: SandboxConfig,
  unsupported: readonly string[],
  observer: CreateObserver,
): Promise<Sandbox> {
  const { name, detached } = config;
  return await Operation.run(
    `connect to or create sandbox ${name}`,
    observer,
    async ({ signal }) => {
      // The time limit is that of both steps together.
      const within = { ...observer, signal, timeoutMs: undefined };
      if (!(await nameExists(locateHome(), name))) {
        try {
          return await createSandbox(config, unsupported, !detached, within);
        } catch (error) {
          if (!(error instanceof SandboxAlreadyExistsError)) throw error;
        }
      }
      return await (await findHandle(name)).connectOrStart({ detached, ...within });
    },
    observerCallbacks,
  );
}
