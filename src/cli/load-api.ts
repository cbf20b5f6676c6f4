import type * as Api from "../api/index.ts";
import type * as ImagesApi from "../api/msb-images.ts";

// Functions of their own because the compiler leaves the path of a dynamic import as it is in a function that has a `using`
// declaration, and the compiled file then names a source.

/** Loads the SDK when a command needs it: `msb --help` does not. */
export async function loadApi(): Promise<typeof Api> {
  return await import("../api/index.ts");
}

/** The same for what only `msb` does with images. */
export async function loadImagesApi(): Promise<typeof ImagesApi> {
  return await import("../api/msb-images.ts");
}
