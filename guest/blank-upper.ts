/** The blank ext4 disks that every sandbox and every named disk gets a copy of, so that users need no mkfs. */
import { chmod, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packExtents } from "../src/host/files/extents.ts";
import { run } from "./tools.ts";

const CONFIGURATION = fileURLToPath(new URL("./mke2fs.conf", import.meta.url));
const BYTES_PER_MIB = 1024 * 1024;
/** Room in the group descriptors to grow online to 1 TiB; in blocks of 4096 bytes. */
const GROWABLE_BLOCKS = (1024 * 1024 * 1024 * 1024) / 4096;
/** Fixed, so that the same inputs give the same bytes. A guest may see several of these disks; it tells them apart by their serials. */
const UUID = "6d736200-0000-4000-8000-000000000002";
const HASH_SEED = "6d736200-0000-4000-8000-000000000003";

interface BlankUpper {
  readonly sizeMib: number;
  readonly journalMib: number;
  /** In all; mke2fs counts by the size when it is null. */
  readonly inodes: number | null;
}

/**
 * Disks to start from, by the names of the finished files: the usual size, and a small one to be grown to sizes between. A
 * file system keeps the number of inodes per group (of 128 MiB) for ever, so the small one has as many as a full group.
 */
export const blankUppers = {
  "upper.extents": { sizeMib: 4096, journalMib: 16, inodes: null },
  "upper-small.extents": { sizeMib: 16, journalMib: 4, inodes: 8192 },
} as const satisfies Readonly<Record<string, BlankUpper>>;

/**
 * Makes a blank disk in the compact form of `src/host/files/extents.ts`.
 *
 * @param work directory to work in
 * @param packed path of the file to write
 */
export async function buildBlankUpper(blank: BlankUpper, work: string, packed: string): Promise<void> {
  const disk = join(work, "upper.img");
  await rm(disk, { force: true });
  const file = await open(disk, "wx");
  try {
    await file.truncate(blank.sizeMib * BYTES_PER_MIB);
  } finally {
    await file.close();
  }
  const extended = [`nodiscard`, `resize=${GROWABLE_BLOCKS}`, "root_owner=0:0", `hash_seed=${HASH_SEED}`];
  const inodes = blank.inodes === null ? [] : ["-N", String(blank.inodes)];
  await run(
    "mke2fs",
    // prettier-ignore
    ["-q", "-F", "-t", "ext4", "-E", extended.join(","), "-J", `size=${blank.journalMib}`, ...inodes, "-U", UUID, "-L", "msb-upper", disk],
    // A fixed time of creation; 0 would mean "now".
    { env: { MKE2FS_CONFIG: CONFIGURATION, E2FSPROGS_FAKE_TIME: "1" } },
  );
  await packExtents(disk, packed);
  await chmod(packed, 0o644);
  await rm(disk);
}
