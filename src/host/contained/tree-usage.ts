import { readdir } from "node:fs/promises";
import { errorCode } from "../system-error.ts";
import { OpenDirectory, statusOf } from "./contained-directory.ts";

/** What st_blocks counts in (stat(2)), whatever the file system's blocks are. */
const blockBytes = 512n;

/**
 * What a directory with all that is in it takes on the disk, in bytes. A file with several names counts once; holes do not count. What
 * comes and goes meanwhile may or may not be counted, and what cannot be read is not.
 *
 * @throws what the system reports about the directory itself
 */
export async function treeUsage(path: string): Promise<number> {
  const severalNames = new Set<string>();
  let blocks = 0n;
  const visit = async (directory: OpenDirectory): Promise<void> => {
    for (const name of await readdir(directory.at(), { encoding: "buffer" })) {
      const status = await statusOf(directory.at(name));
      if (status === null) continue;
      if (status.nlink > 1n && !status.isDirectory()) {
        const key = `${status.dev}:${status.ino}`;
        if (severalNames.has(key)) continue;
        severalNames.add(key);
      }
      blocks += status.blocks;
      if (status.isDirectory()) await visitNamed(directory, name);
    }
  };
  const visitNamed = async (above: OpenDirectory, name: Buffer): Promise<void> => {
    try {
      await using directory = await OpenDirectory.open(above.at(name));
      await visit(directory);
    } catch (error) {
      // EMFILE and ENFILE: deeper than this process may have files open.
      const code = errorCode(error) ?? "";
      if (!["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "EPERM", "EMFILE", "ENFILE"].includes(code)) throw error;
    }
  };
  await using root = await OpenDirectory.open(path);
  blocks += (await statusOf(root.at()))?.blocks ?? 0n;
  await visit(root);
  return Number(blocks * blockBytes);
}
