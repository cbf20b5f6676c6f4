import {
  closeSync,
  constants,
  fchmodSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  type BigIntStats,
} from "node:fs";
import { join } from "node:path";
import type { LayerPaths } from "../../overlay/layer-paths.ts";
import type { GuestView } from "../fuse/attributes.ts";
import { errno } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import type { HostTree } from "../tree/host-tree.ts";
import { fileTypes, typeOf, type Node } from "../tree/node.ts";
import { copyAttributes, copyFile, setTime } from "./copy-content.ts";
import type { OverlayKeeper } from "./overlay-keeper.ts";

const copyTries = 3;

/** Copies of the host's files on their way into a layer: each lies aside until it is whole. */
export class LayerWork {
  readonly #paths: LayerPaths;
  readonly #lower: HostTree;
  readonly #keeper: OverlayKeeper;
  #made = 0;

  /** @throws the system's error */
  constructor(paths: LayerPaths, lower: HostTree, keeper: OverlayKeeper) {
    this.#paths = paths;
    this.#lower = lower;
    this.#keeper = keeper;
    // What was not whole when somebody was killed.
    rmSync(paths.work, { recursive: true, force: true });
    mkdirSync(paths.work, { recursive: true, mode: 0o700 });
  }

  /** Makes something aside and uses it; what is left of it then is removed. */
  aside<T>(use: (path: string) => T): T {
    const path = join(this.#paths.work, String(this.#made++));
    try {
      return use(path);
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  }

  /**
   * Copies a file or a link of the host's, as the guest sees it.
   *
   * @param stat of the file, as `view` was made from it
   * @param empties of its content nothing is wanted
   * @returns whether the host left it alone meanwhile
   */
  copy(file: Node, stat: BigIntStats, view: GuestView, path: string, empties: boolean): boolean {
    if (typeOf(stat) === fileTypes.symbolicLink) {
      symlinkSync(readlinkSync(this.#lower.pathOf(file), { encoding: "buffer" }), path);
      lutimesSync(path, Number(stat.atimeNs) / 1e9, Number(stat.mtimeNs) / 1e9);
      return true;
    }
    if (typeOf(stat) !== fileTypes.regular) throw new Refusal(errno.perm);
    const from = this.#lower.open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      for (let left = copyTries; left > 0; left--) {
        rmSync(path, { force: true });
        if (copyFile(from, path, empties, (fd) => this.#keep(fd, view, false))) return true;
      }
      return false;
    } finally {
      closeSync(from);
    }
  }

  /** Makes a directory as the host's is, without what is in it. */
  directory(directory: Node, stat: BigIntStats, view: GuestView, path: string): void {
    mkdirSync(path, { mode: 0o700 });
    this.dress(directory, stat, view, path);
  }

  /** Gives a directory what the host's has. */
  dress(directory: Node, stat: BigIntStats, view: GuestView, path: string): void {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const from = this.#lower.open(directory, constants.O_RDONLY);
      try {
        copyAttributes(from, fd);
      } finally {
        closeSync(from);
      }
      this.#keep(fd, view, true);
      setTime(fd, stat);
    } finally {
      closeSync(fd);
    }
  }

  #keep(fd: number, { uid, gid, mode, rdev }: GuestView, isDirectory: boolean): void {
    fchmodSync(fd, this.#keeper.hostMode(mode & 0o7777, isDirectory));
    this.#keeper.keepOn(fd, { uid, gid, mode, rdev });
  }
}
