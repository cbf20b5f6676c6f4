import type * as Api from "../api/index.ts";

/**
 * Loads the SDK when a command needs it: `msb --help` does not.
 *
 * A function of its own because the compiler leaves the path of a dynamic import as it is in a function that has a `using`
 * declaration, and the compiled file then names a source.
 */
export async function loadApi(): Promise<typeof Api> {
  return await import("../api/index.ts");
}
