import { randomBytes } from "node:crypto";
import { readdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { IoError } from "../../errors/index.ts";
import { tryLockFile } from "../../host/locks/lock.ts";
import type { ImageStore } from "./layout.ts";
import { withStoreLock } from "./locking.ts";

const leaseSchema = v.object({ blobs: v.array(v.string()), rootfs: v.array(v.string()) });

/** Blobs by digest and root file systems by key that must stay although no image names them yet. */
export type Lease = v.InferOutput<typeof leaseSchema>;

/**
 * Keeps garbage collection away from what `action` is about to bring in. The lease is a file whose lock dies with its
 * holder; it is written under the lock that garbage collection holds all the time, so the two never overlap.
 */
export async function withLease<T>(
  store: ImageStore,
  lease: Lease,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
): Promise<T> {
  const path = join(store.leases, `${randomBytes(8).toString("hex")}.json`);
  const lock = await withStoreLock(store.indexLock, signal, async () => {
    const held = await tryLockFile(path);
    if (held === null) throw new IoError(`cannot create ${path}`);
    await writeFile(path, JSON.stringify(lease));
    return held;
  });
  try {
    return await action();
  } finally {
    await unlink(path).catch(() => undefined);
    await lock.release();
  }
}

/** The leases that someone holds. Others are removed. To be called under the index lock. */
export async function activeLeases(store: ImageStore): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (const name of await readdir(store.leases).catch(() => [])) {
    const path = join(store.leases, name);
    const lock = await tryLockFile(path);
    if (lock !== null) {
      await unlink(path).catch(() => undefined);
      await lock.release();
      continue;
    }
    const text = await readFile(path, "utf8").catch(() => null);
    // It ended between the two looks.
    if (text !== null) leases.push(v.parse(leaseSchema, JSON.parse(text)));
  }
  return leases;
}
