import { SandboxAlreadyExistsError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import { nameExists } from "../../store/sandboxes.ts";
import { isProviderMount, providersOf } from "../../config/mounts/provider-mounts.ts";
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
      const handle = await findHandle(name);
      const places = handle.config().mounts.filter(isProviderMount);
      const given = providersOf(config.mounts);
      // Whatever else is asked for is not what the sandbox is that is there.
      const providers = Object.fromEntries(
        [...given].filter(([at]) => places.some(({ guest }) => guest === at)),
      );
      return await handle.connectOrStart({ detached, providers, ...within });
    },
    observerCallbacks,
  );
}
