/** What a sandbox's writes go to, over an image that stays as it is. Sizes in MiB. */
export type RootDisk =
  /** A sparse file on the host that lives as long as the sandbox. */
  | { readonly kind: "managed"; readonly sizeMib: number }
  /** The guest's memory: lost when it stops. null = half of the memory. */
  | { readonly kind: "tmpfs"; readonly sizeMib: number | null };

/** What a sandbox gets that asks for nothing else. */
export const defaultRootDisk = { kind: "managed", sizeMib: 4096 } as const satisfies RootDisk;

/** The smallest managed one that has room for a journal and what a file system needs for itself. */
export const minimumManagedMib = 16;
/** 16 TiB: what ext4 with its usual blocks of 4 KiB and 32-bit block numbers can hold. */
export const maximumRootDiskMib = 16 * 1024 * 1024;
