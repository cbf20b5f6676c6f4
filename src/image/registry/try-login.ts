import { HttpError } from "../../errors/index.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import type { Home } from "../../store/home.ts";
import { readReason, withReason } from "./reason.ts";
import { openSession, type RegistryOptions } from "./settings.ts";

export interface LoginTrial {
  readonly username: string;
  readonly password: string;
  readonly registry?: Omit<RegistryOptions, "auth"> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks a registry whether it accepts a user name and a password: the distribution specification's `GET /v2/`, as this user.
 *
 * @param domain as references spell it, see `registryDomain`
 * @throws ImageError when it does not; HttpError when it cannot be reached or is no registry; InvalidConfigError; the
 *   signal's reason
 * @example
 * ```ts
 * await tryLogin(locateHome(), "ghcr.io", { username: "me", password: token });
 * ```
 */
export async function tryLogin(home: Home, domain: string, trial: LoginTrial): Promise<void> {
  const { username, password, signal } = trial;
  using session = await openSession(domain, {
    home,
    config: await readGlobalConfig(home),
    signal,
    registry: { ...trial.registry, auth: { kind: "basic", username, password } },
  });
  await session.send({ method: "GET", path: "", repository: "", signal }, async (response) => {
    const { status } = response;
    if (status === 403) throw await session.refused("", response);
    if (status !== 200) {
      const reason = await readReason(response);
      throw new HttpError(withReason(`${domain} answered ${status} to the login`, reason), {
        hint: "Is it a container registry?",
      });
    }
    response.body.destroy();
  });
}
