import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";

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
  requireLocal("the backend", backend);
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
 * @throws UnsupportedOperationError, InvalidConfigError when `MSB_BACKEND` asks for something else than `local`
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
  const named = process.env["MSB_BACKEND"] ?? "";
  if (named === "") return { kind: "local", source: "default" };
  requireLocal("MSB_BACKEND", named);
  return { kind: "local", source: "MSB_BACKEND" };
}

function requireLocal(name: string, backend: unknown): void {
  if (backend === "local") return;
  const kind: unknown =
    typeof backend === "object" && backend !== null ? Reflect.get(backend, "kind") : backend;
  const hint = 'Use "local".';
  if (kind === "cloud") {
    throw new UnsupportedOperationError(
      `${name} is a cloud, but this version runs sandboxes on this computer only`,
      {
        hint,
      },
    );
  }
  throw new InvalidConfigError(`${name} is none that is known`, { hint });
}
