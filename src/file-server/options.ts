/** Whose the files are in the guest, and what becomes of the owners and modes that the guest gives to them. */
export type StatVirtualization = "strict" | "relaxed" | "off";
/** Whether permissions that the guest changes are the host's, too. */
export type HostPermissions = "private" | "mirror";

/** What a guest is to have of files that are not its own: the host's, or what the program provides that owns the sandbox. */
export type ServedMount = ServedPath | ServedProvider;

/** One directory or file of the host's, as a guest is to have it. */
export interface ServedPath {
  readonly kind: "path";
  /** Absolute. */
  readonly path: string;
  /** Whether it is one file. */
  readonly isFile: boolean;
  readonly readOnly: boolean;
  readonly statVirtualization: StatVirtualization;
  readonly hostPermissions: HostPermissions;
  /** Who owns all files, as the guest sees it; null: who made them in the guest, and root for the host's. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** How many bytes the guest may add; null: as many as there is room for. */
  readonly quotaBytes: number | null;
  /** Whether what is there already is part of that. */
  readonly quotaCountsAll: boolean;
  /** Directory of the layer that takes what the guest writes, so that the path itself is only read; null: it is written to. */
  readonly layer: string | null;
}

/** Files that a program provides. */
export interface ServedProvider {
  readonly kind: "provider";
  /** Where it is mounted in the guest. */
  readonly guest: string;
  /** How long the program may take for one request of the guest's, ms. */
  readonly timeoutMs: number;
}
