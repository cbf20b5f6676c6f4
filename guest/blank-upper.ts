/** The blank ext4 disk that every sandbox gets a copy of, so that users need no mkfs. */
import { chmod, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packExtents } from "../src/store/extents.ts";
import { run } from "./tools.ts";

const CONFIGURATION = fileURLToPath(new URL("./mke2fs.conf", import.meta.url));
const VIRTUAL_BYTES = 4096 * 1024 * 1024;
const JOURNAL_MIB = 16;
/** Room in the group descriptors to grow online to 1 TiB; in blocks of 4096 bytes. */
const GROWABLE_BLOCKS = (1024 * 1024 * 1024 * 1024) / 4096;
/** Fixed, so that the same inputs give the same bytes. A guest never sees two of these disks. */
const UUID = "6d736200-0000-4000-8000-000000000002";
const HASH_SEED = "6d736200-0000-4000-8000-000000000003";

/**
 * Makes the blank disk in the compact form of `src/store/extents.ts`.
 *
 * @param work directory to work in
 * @param packed path of the file to write
 */
export async function buildBlankUpper(work: string, packed: string): Promise<void> {
  const disk = join(work, "upper.img");
  await rm(disk, { force: true });
  const file = await open(disk, "wx");
  try {
    await file.truncate(VIRTUAL_BYTES);
  } finally {
    await file.close();
  }
  const extended = [`nodiscard`, `resize=${GROWABLE_BLOCKS}`, "root_owner=0:0", `hash_seed=${HASH_SEED}`];
  await run(
    "mke2fs",
    // prettier-ignore
    ["-q", "-F", "-t", "ext4", "-E", extended.join(","), "-J", `size=${JOURNAL_MIB}`, "-U", UUID, "-L", "msb-upper", disk],
    // A fixed time of creation; 0 would mean "now".
    { env: { MKE2FS_CONFIG: CONFIGURATION, E2FSPROGS_FAKE_TIME: "1" } },
  );
  await packExtents(disk, packed);
  await chmod(packed, 0o644);
  await rm(disk);
}
