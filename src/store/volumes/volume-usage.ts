import { treeUsage } from "../../host/contained/tree-usage.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { FoundVolume } from "./volumes.ts";

/** Bytes that a volume takes on the host's disk; 0 when it was removed meanwhile. @throws IoError */
export async function volumeUsage({ paths }: Pick<FoundVolume, "paths">): Promise<number> {
  try {
    return await treeUsage(paths.directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw ioError(`look at ${paths.directory}`, error);
  }
}
