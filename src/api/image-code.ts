import type * as Pull from "../image/pull.ts";
import type * as Settings from "../image/registry/settings.ts";
import type * as Collection from "./image-collection.ts";
import type * as Hold from "./image-hold.ts";

/*
 * What reads and fetches images is loaded when it is needed: most calls need none of it. Each is a function of its own
 * because the compiler leaves the path of a dynamic import as it is in a function that has a `using` declaration.
 */

export async function loadPull(): Promise<typeof Pull> {
  return await import("../image/pull.ts");
}

export async function loadRegistrySettings(): Promise<typeof Settings> {
  return await import("../image/registry/settings.ts");
}

export async function loadHold(): Promise<typeof Hold> {
  return await import("./image-hold.ts");
}

export async function loadCollection(): Promise<typeof Collection> {
  return await import("./image-collection.ts");
}
