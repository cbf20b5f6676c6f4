import { closeSync, constants, fchmodSync, fstatSync, lchownSync, type BigIntStats } from "node:fs";
import type { GuestView } from "../fuse/attributes.ts";
import { errno } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import type { ServedPath } from "../options.ts";
import { fileTypes, typeOf, type Node, type Override } from "../tree/node.ts";
import type { ServedFiles } from "../tree/served-files.ts";
import { writeOverride } from "../../overlay/guest-attributes.ts";
import { canKeep, readOverride } from "./override-store.ts";

const permissions = 0o7777;
const setId = 0o6000;
/** What the host is never given: set-user-ID, set-group-ID and sticky bits of the guest's. */
const hostPermissions = 0o777;

/** Owner and mode that the guest wants; what is missing stays. */
export interface Change {
  readonly uid?: number;
  readonly gid?: number;
  /** Permissions. */
  readonly mode?: number;
}

/**
 * Whose files are, for the guest and for the host. On the host all are the supervisor's user's, who makes them. The guest may
 * give them to whom it likes: that is kept in an extended attribute, and shown to guests alone.
 */
export class Owners {
  readonly #tree: ServedFiles;
  readonly #options: ServedPath;
  readonly #hostUid = process.getuid?.() ?? 0;
  readonly #hostGid = process.getgid?.() ?? 0;

  constructor(tree: ServedFiles, options: ServedPath) {
    this.#tree = tree;
    this.#options = options;
  }

  /** Whether the guest can make what the host does not have: devices, pipes, sockets. */
  get keepsTypes(): boolean {
    return this.#options.statVirtualization !== "off";
  }

  /** How the guest sees a file. */
  view(node: Node, stat: BigIntStats): GuestView {
    const { owner, statVirtualization } = this.#options;
    const natural = this.#natural(stat);
    if (statVirtualization === "off") return { ino: stat.ino, ...natural, ...owner };
    const override = readOverride(this.#tree, node, stat);
    return { ino: stat.ino, ...natural, ...override, ...owner };
  }

  /** The permissions on the host of what the guest makes. Whoever serves it can always open it again. */
  hostMode(mode: number, isDirectory: boolean): number {
    if (this.#options.statVirtualization === "off") return mode & hostPermissions;
    return (mode & hostPermissions) | (isDirectory ? 0o700 : 0o600);
  }

  /** Remembers who has made a file in the guest, and with which mode, when the host does not show that by itself. */
  created(node: Node, stat: BigIntStats, maker: Override): void {
    if (this.#options.statVirtualization === "off") return;
    const natural = this.#natural(stat);
    const wanted = { ...maker, ...this.#options.owner };
    const shown = { ...natural, ...this.#options.owner };
    const isShown = wanted.uid === shown.uid && wanted.gid === shown.gid && wanted.mode === shown.mode;
    if (isShown && wanted.rdev === shown.rdev) return;
    try {
      this.#keep(node, maker);
    } catch {
      // It is made all the same. Where its file system keeps nothing, this is known while the guest uses it.
      this.#hold(node, maker);
    }
  }

  /** chown(2) and chmod(2). @throws Refusal, or the system's error, when it cannot be kept */
  change(node: Node, change: Change): void {
    const stat = this.#tree.stat(node);
    if (this.#options.statVirtualization === "off") this.#changeHost(node, stat, change);
    else this.#changeOverride(node, stat, change);
  }

  /** A file of the guest's that someone without privileges writes to loses these bits (inode(7)). */
  killSetId(node: Node, stat: BigIntStats): void {
    const { mode } = this.view(node, stat);
    if (node.identity.type === fileTypes.regular && (mode & setId) !== 0)
      this.change(node, { mode: mode & ~setId });
  }

  /** What the host says of a file: what is the server's own user's is the guest's root's. */
  #natural(stat: BigIntStats): Override {
    const [uid, gid, mode] = [Number(stat.uid), Number(stat.gid), Number(stat.mode)];
    const rdev = Number(stat.rdev) >>> 0;
    if (this.#options.statVirtualization === "off") return { uid, gid, mode, rdev };
    return { uid: uid === this.#hostUid ? 0 : uid, gid: gid === this.#hostGid ? 0 : gid, mode, rdev };
  }

  #changeHost(node: Node, stat: BigIntStats, { uid, gid, mode }: Change): void {
    if (uid !== undefined || gid !== undefined) {
      lchownSync(this.#tree.pathOf(node), uid ?? Number(stat.uid), gid ?? Number(stat.gid));
    }
    if (mode === undefined) return;
    if (!canKeep(typeOf(stat))) throw new Refusal(errno.opnotsupp);
    this.#withFile(node, (fd) => fchmodSync(fd, mode & hostPermissions));
  }

  #changeOverride(node: Node, stat: BigIntStats, { uid, gid, mode }: Change): void {
    const before = { ...this.#natural(stat), ...readOverride(this.#tree, node, stat) };
    const type = before.mode & fileTypes.mask;
    const override = {
      uid: uid ?? before.uid,
      gid: gid ?? before.gid,
      mode: mode === undefined ? before.mode : type | (mode & permissions),
      rdev: before.rdev,
    };
    if (mode !== undefined && this.#options.hostPermissions === "mirror" && canKeep(typeOf(stat))) {
      const isDirectory = type === fileTypes.directory;
      this.#withFile(node, (fd) => fchmodSync(fd, this.hostMode(mode, isDirectory)));
    }
    try {
      this.#keep(node, override);
    } catch (error) {
      if (this.#options.statVirtualization === "strict") throw error;
      this.#hold(node, override);
    }
  }

  /** In the file, or, of what can keep nothing, such as a symbolic link, while the guest knows it. */
  #keep(node: Node, override: Override): void {
    if (!canKeep(node.identity.type)) {
      this.#hold(node, override);
      return;
    }
    this.#withFile(node, (fd) => {
      node.override = this.keepOn(fd, override);
      node.overrideAtNs = fstatSync(fd, { bigint: true }).ctimeNs;
    });
  }

  /** Keeps it in an open file. @returns what is kept; null when the host says the same. @throws the system's error */
  keepOn(fd: number, override: Override): Override | null {
    const natural = this.#natural(fstatSync(fd, { bigint: true }));
    const isNatural =
      override.uid === natural.uid && override.gid === natural.gid && override.mode === natural.mode;
    const kept = isNatural ? null : override;
    writeOverride(fd, kept);
    return kept;
  }

  #hold(node: Node, override: Override): void {
    node.override = override;
    node.overrideAtNs = this.#tree.stat(node).ctimeNs;
  }

  #withFile(node: Node, use: (fd: number) => void): void {
    const fd = this.#tree.open(node, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      use(fd);
    } finally {
      closeSync(fd);
    }
  }
}
