import { readdir, readFile, readlink, stat } from "node:fs/promises";
import type { BigIntStats } from "node:fs";

/** A file that has no name any more, and takes up the disk for as long as somebody has it open. */
export interface HeldFile {
  readonly status: BigIntStats;
  /** The last name that it had. */
  readonly path: string;
}

/** What the kernel writes behind the last name of such a file (proc(5), /proc/PID/fd). */
const deleted = " (deleted)";

/**
 * What machines have open that has no name any more: once a guest has gone on with a memory, nobody is to begin with it again, and the file
 * is removed, but QEMU has it mapped. Linux only: elsewhere nothing is found.
 *
 * @param supervisor the process whose machine it is
 */
export async function heldFiles(supervisor: number): Promise<HeldFile[]> {
  const found: HeldFile[] = [];
  // Nobody may look at these processes, or they end: then there is nothing to tell.
  const children = await readFile(`/proc/${supervisor}/task/${supervisor}/children`, "utf8").catch(() => "");
  for (const pid of children.split(" ").filter((word) => word !== "")) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const link = `/proc/${pid}/fd/${fd}`;
      const target = await readlink(link).catch(() => "");
      if (!target.startsWith("/") || !target.endsWith(deleted)) continue;
      const status = await stat(link, { bigint: true }).catch(() => null);
      if (status?.isFile() !== true || status.nlink > 0n) continue;
      found.push({ status, path: target.slice(0, -deleted.length) });
    }
  }
  return found;
}
