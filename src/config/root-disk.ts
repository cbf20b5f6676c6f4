import * as v from "valibot";

/** What the guest writes to, over an image whose files stay as they are. */
export const rootDiskSchema = v.variant("kind", [
  /** A sparse file of this size that lives as long as the sandbox. */
  v.object({ kind: v.literal("managed"), sizeMib: v.number() }),
  /** Memory of the guest, lost when it stops; null = half of the guest's memory. */
  v.object({ kind: v.literal("tmpfs"), sizeMib: v.nullable(v.number()) }),
]);

export type StoredRootDisk = v.InferOutput<typeof rootDiskSchema>;

/** What a sandbox gets that asks for nothing else. */
export const defaultRootDisk = { kind: "managed", sizeMib: 4096 } as const satisfies StoredRootDisk;

/** The smallest managed one that has room for a journal and what a file system needs for itself. */
export const minimumManagedMib = 16;
/** 16 TiB: what ext4 with its usual blocks of 4 KiB and 32-bit block numbers can hold. */
export const maximumRootDiskMib = 16 * 1024 * 1024;
