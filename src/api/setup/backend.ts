import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { backendFromEnvironment, checkEnvironment } from "../../host/process/environment-settings.ts";

/** Where sandboxes run. This version has `local`, this computer. */
export type DefaultBackend =
  | "local"
  | { readonly kind: "cloud"; readonly url?: string; readonly apiKey: string }
  | { readonly kind: "cloud"; readonly profile: string };

/** Where sandboxes run, and what says so. */
export interface BackendInfo {
  readonly kind: "local";
  readonly source: "programmatic" | "MSB_BACKEND" | "default";
}

let chosen = false;

/**
 * Says where this process's sandboxes run: `"local"`.
 *
 * @throws UnsupportedOperationError for a cloud, which this version does not have; InvalidConfigError for anything else
 */
export function setDefaultBackend(backend: DefaultBackend): void {
  requireLocal(backend);
  chosen = true;
}

/** Says where sandboxes run while a function does its work. @throws as {@link setDefaultBackend}; what the function throws */
export async function withDefaultBackend<T>(backend: DefaultBackend, work: () => T | Promise<T>): Promise<T> {
  const before = chosen;
  setDefaultBackend(backend);
  try {
    return await work();
  } finally {
    chosen = before;
  }
}

/** @throws as {@link defaultBackendInfo} */
export function defaultBackendKind(): "local" {
  return defaultBackendInfo().kind;
}

/**
 * Where sandboxes run and what says so: the program, `MSB_BACKEND`, or nothing.
 *
 * @throws UnsupportedOperationError when `MSB_BACKEND` or `MSB_PROFILE` asks for a cloud; InvalidConfigError when `MSB_BACKEND` is
 *   anything else than `local`
 *
 * @example
 * ```ts
 * import { defaultBackendInfo } from "microsandbox";
 *
 * console.log(defaultBackendInfo().kind); // local
 * ```
 */
export function defaultBackendInfo(): BackendInfo {
  if (chosen) return { kind: "local", source: "programmatic" };
  return { kind: "local", source: backendFromEnvironment() ?? "default" };
}

/** Checks all that a start reads from the environment. @throws InvalidConfigError, UnsupportedOperationError */
export function checkStartEnvironment(): void {
  checkEnvironment(process.env, chosen);
}

function requireLocal(backend: unknown): void {
  if (backend === "local") return;
  const kind: unknown =
    typeof backend === "object" && backend !== null ? Reflect.get(backend, "kind") : backend;
  const hint = 'Use "local".';
  if (kind === "cloud") {
    throw new UnsupportedOperationError(
      "the backend is a cloud, but this version runs sandboxes on this computer only",
      { hint },
    );
  }
  throw new InvalidConfigError("the backend is none that is known", { hint });
}
