/** @returns what `library.ts` exports; the build makes of this path the one of the file beside the bundle's directory */
export async function loadLibrary(): Promise<typeof import("./library.ts")> {
  return await import("./library.ts");
}
