import type * as library from "./library.ts";

/** @returns what `library.ts` exports; the build makes of this path the one of the file beside the bundle's directory */
export async function loadLibrary(): Promise<typeof library> {
  return await import("./library.ts");
}
