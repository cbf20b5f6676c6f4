import { SandboxAlreadyExistsError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import { locateHome } from "../../store/home.ts";
import { nameExists } from "../../store/sandboxes.ts";
import { isProviderMount, providersOf } from "../../config/mounts/provider-mounts.ts";
import { createSandbox } from "./create.ts";
import { findHandle } from "./list.ts";
import { observerCallbacks, type CreateObserver } from "./progress.ts";
import type { Sandbox } from "./sandbox.ts";
import type { BesideConfig } from "../../config/sandbox/beside-config.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";

/** Two programs may ask for the same name at once: whoever loses the race to create it connects. */
export async function connectOrCreate(
  config: SandboxConfig,
  beside: BesideConfig,
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
          return await createSandbox(config, beside, !detached, within);
        } catch (error) {
          if (!(error instanceof SandboxAlreadyExistsError)) throw error;
        }
      }
      const handle = await findHandle(name);
      const places = handle.config().mounts.filter(isProviderMount);
      const given = providersOf(config.mounts);
      const own = handle.config().network?.secrets ?? [];
      // Whatever else is asked for is not what the sandbox is that is there.
      const providers = Object.fromEntries(
        [...given].filter(([at]) => places.some(({ guest }) => guest === at)),
      );
      const secrets = Object.fromEntries(
        own
          .filter(({ source }) => source.kind === "provider")
          .flatMap(({ envVar }) => {
            const material = beside.secrets.get(envVar)?.reveal();
            return material === undefined ? [] : [[envVar, material]];
          }),
      );
      const asked = handle.config().network?.http?.hooks;
      const { onRequest, onResponse } = beside.hooks;
      const hooks = {
        ...(asked?.onRequest === true && onRequest !== null ? { onRequest } : {}),
        ...(asked?.onResponse === true && onResponse !== null ? { onResponse } : {}),
      };
      return await handle.connectOrStart({ detached, providers, secrets, hooks, ...within });
    },
    observerCallbacks,
  );
}
