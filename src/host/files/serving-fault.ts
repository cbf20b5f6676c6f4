import { constants } from "node:fs";
import { lstat, open, statfs } from "node:fs/promises";
import { kindOfFileSystem } from "./file-system-kinds.ts";

/** Why something of this host's cannot be given to a guest. */
export interface ServingFault {
  /** The end of a sentence that begins with the path. */
  readonly why: string;
  readonly hint: string;
  readonly cause?: unknown;
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * What keeps a directory or file that is there from being served: that this user may not read it, or that it is the system itself.
 *
 * @returns null when nothing does
 */
export async function servingFault(path: string, isFile: boolean): Promise<ServingFault | null> {
  try {
    if (kindOfFileSystem((await statfs(path)).type) === "system") {
      return {
        why: "is a part of the system itself (proc, sysfs, cgroups and the like), which is not given to guests",
        hint: "Name a directory or a file of a disk or of memory. Every guest has its own /proc, /sys and /dev.",
      };
    }
    // Tried, since access(2) asks for the real user, and says nothing of what a security module does.
    await (await open(path, O_RDONLY | O_NOFOLLOW | (isFile ? O_NONBLOCK : O_DIRECTORY))).close();
    if (!isFile) await lstat(`${path}/.`);
    return null;
  } catch (cause) {
    return {
      why: "cannot be read by this user",
      hint: "Change its permissions, or name another one.",
      cause,
    };
  }
}
