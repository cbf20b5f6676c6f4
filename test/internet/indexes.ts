import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Tree } from "./tree-programs.ts";

/**
 * Makes `npm`, a registry, and `simple`, pip's index, of one small package each.
 *
 * @param site a directory of the tree, which a server shows
 * @param registry the URL of the registry there, which its packages name
 */
export async function makeIndexes(tree: Tree, site: string, registry: string): Promise<void> {
  const script = await readFile(join(import.meta.dirname, "make-indexes.sh"), "utf8");
  await tree.shell(`SITE=${site} REGISTRY=${registry}\n${script}`);
}
