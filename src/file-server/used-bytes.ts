import { walkTree } from "../host/contained/walk-tree.ts";
import { contentBytes, fileBytes } from "./quota.ts";

/**
 * What a directory holds, as a {@link Quota} counts it. What cannot be read, or is gone meanwhile, is not counted.
 *
 * @throws the system's error when the directory itself cannot be opened
 */
export function usedBytes(directory: string): number {
  let bytes = 0;
  for (const { status, isFirstName } of walkTree(directory)) {
    bytes += fileBytes;
    if (isFirstName) bytes += contentBytes(status);
  }
  return bytes;
}
