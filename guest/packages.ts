/** Which Debian packages the guest is made from, decided anew only when apt's lists changed. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../src/host/files/atomic-file.ts";
import {
  candidate,
  candidateKernel,
  ensurePackageLists,
  packageListsStamp,
  type DebianPackage,
} from "./debian.ts";
import type { GuestTarget } from "./target.ts";

export interface GuestPackages {
  readonly kernel: DebianPackage;
  readonly busybox: DebianPackage;
}

/** The packages that apt would install now. */
export async function currentPackages(target: GuestTarget, cache: string): Promise<GuestPackages> {
  const path = join(cache, `packages-${target.name}.json`);
  const stamp = await packageListsStamp();
  const known = await readKnown(path);
  if (stamp !== "" && known?.stamp === stamp) return known.packages;
  await ensurePackageLists();
  const packages: GuestPackages = {
    kernel: await candidateKernel(target.kernelMetaPackage),
    busybox: await candidate("busybox-static"),
  };
  await mkdir(cache, { recursive: true });
  await writeFileAtomically(path, JSON.stringify({ stamp: await packageListsStamp(), packages }, null, 2));
  return packages;
}

async function readKnown(path: string): Promise<{ stamp: string; packages: GuestPackages } | undefined> {
  try {
    // Written above and nowhere else.
    return JSON.parse(await readFile(path, "utf8")) as { stamp: string; packages: GuestPackages };
  } catch {
    return undefined;
  }
}
