import { ImageError } from "../../errors/index.ts";
import { encodeDevice, fileType } from "../erofs/format.ts";
import { impliedDirectory, type Attributes } from "../erofs/inodes.ts";
import { flag, none, root, type Tree } from "../erofs/tree.ts";
import { quote, type TarEntry } from "../tar/entry.ts";
import { checkSymlinkTarget, componentsOf } from "./entry-path.ts";
import { PendingLinks } from "./pending-links.ts";

/** image-spec, layer.md: an entry of this beginning deletes what the rest names. */
const whiteoutPrefix = ".wh.";
/** Deletes everything of lower layers in its directory. */
const opaqueName = ".wh..wh..opq";
/** Other names of this beginning are the bookkeeping of AUFS, which docker passes over too. */
const bookkeepingPrefix = ".wh..wh.";
/** MAXSYMLINKS of Linux. */
const maximumHops = 40;

/** Where names led. */
interface Walk {
  readonly directory: number;
  readonly left: readonly string[];
}

const typeBits: Readonly<Record<Exclude<TarEntry["type"], "hardLink">, number>> = {
  file: fileType.file,
  symlink: fileType.symlink,
  directory: fileType.directory,
  characterDevice: fileType.character,
  blockDevice: fileType.block,
  fifo: fileType.fifo,
};

/**
 * Builds the tree of one layer from its entries. Names are looked up in this layer alone; what the layers above hide
 * is only asked to know whether a file's data will be needed.
 */
export class LayerView {
  readonly tree: Tree;
  readonly pending: PendingLinks;
  readonly #above: Tree | null;
  /** The entry that was applied last. */
  #last = root;
  /** The directory part of the last name, and where it led. */
  #cachedPath: string | null = null;
  #cachedDirectory = root;

  /** @param above the merged tree of the later layers */
  constructor(tree: Tree, above: Tree | null, description: string) {
    this.tree = tree;
    this.#above = above;
    this.pending = new PendingLinks(description, tree.budget, tree.names);
  }

  /**
   * @returns the inode of a file whose data follows, null for all else
   * @throws ImageError for an entry that cannot be
   */
  apply(entry: TarEntry): number | null {
    const components = componentsOf(entry.name);
    const base = components.pop();
    if (base === undefined) {
      if (entry.type !== "directory") throw new ImageError("it names the root, which is a directory");
      this.#placeDirectory(root, entry);
      return null;
    }
    if (components.some((component) => component.startsWith(whiteoutPrefix))) {
      if (components.some((component) => component.startsWith(bookkeepingPrefix))) return null;
      throw new ImageError("it is below a whiteout");
    }
    if (base.startsWith(whiteoutPrefix)) {
      this.#whiteout(components, base);
      return null;
    }
    const directory = this.#directory(components);
    if (entry.type === "directory") {
      this.#placeDirectory(this.tree.lookup(directory, base), entry, directory, base);
      return null;
    }
    if (entry.type === "hardLink") {
      this.#place(directory, base, this.#linkTarget(entry.linkName));
      return null;
    }
    const inode = this.#newInode(entry);
    this.#last = this.#place(directory, base, inode);
    return entry.type === "file" ? inode : null;
  }

  /** Whether the layers above hide the entry that was applied last. */
  isHidden(): boolean {
    return this.#above !== null && this.#isHidden(this.#above, this.#last);
  }

  #isHidden(above: Tree, entry: number): boolean {
    const path: number[] = [];
    for (let at = entry; at !== root; at = this.tree.parent[at] ?? root) path.push(at);
    this.tree.budget.steps(path.length);
    let directory = root;
    for (const component of path.reverse()) {
      const found = above.lookup(directory, this.tree.name(component));
      if (found === none) return above.isClosed(directory);
      if (component === entry || !above.isDirectory(found)) return true;
      directory = found;
    }
    return false;
  }

  #newInode(entry: TarEntry): number {
    const { inodes } = this.tree;
    inodes.budget.entry();
    if (entry.type === "hardLink") throw new ImageError("a hard link has no inode of its own");
    const attributes: Attributes = { ...entry, mode: typeBits[entry.type] | entry.mode };
    if (entry.type === "symlink") {
      // Linux has no other mode for them.
      const mode = fileType.symlink | 0o777;
      return inodes.addSymlink({ ...attributes, mode }, checkSymlinkTarget(entry.linkName));
    }
    const inode = inodes.add(attributes);
    if (entry.type === "characterDevice" || entry.type === "blockDevice") {
      inodes.start[inode] = deviceNumber(entry);
    }
    return inode;
  }

  #placeDirectory(existing: number, entry: TarEntry, directory = root, name = ""): void {
    const inode = this.#newInode(entry);
    if (existing !== none && this.tree.isDirectory(existing)) {
      this.tree.inode[existing] = inode;
      this.tree.unmark(existing, flag.implied);
      return;
    }
    this.#last = this.#place(directory, name, inode);
  }

  /** Gives an inode a name, in place of whatever had it. */
  #place(directory: number, name: string, inode: number): number {
    const existing = this.tree.lookup(directory, name);
    if (existing === none) return this.tree.add(directory, name, inode, 0);
    this.#cachedPath = null;
    // What lower layers have of this name was deleted before.
    const isDirectory = this.tree.inodes.typeOf(inode) === fileType.directory;
    const hides = isDirectory && this.tree.has(existing, flag.whiteout);
    return this.tree.replace(existing, inode, hides ? flag.opaque : 0);
  }

  #whiteout(components: readonly string[], base: string): void {
    this.tree.budget.entry();
    if (base === opaqueName) {
      this.tree.mark(this.#directory(components), flag.opaque);
      return;
    }
    if (base.startsWith(bookkeepingPrefix)) return;
    const name = base.slice(whiteoutPrefix.length);
    if (name === "" || name === "." || name === "..") throw new ImageError("it is a whiteout of nothing");
    const directory = this.#directory(components);
    const existing = this.tree.lookup(directory, name);
    if (existing === none) this.tree.add(directory, name, 0, flag.whiteout);
    // A whiteout is about lower layers only: what its own layer has of this name stays.
    else if (this.tree.isDirectory(existing)) this.tree.mark(existing, flag.opaque);
  }

  /** The directory of these names, made where the layer has none. */
  #directory(components: readonly string[]): number {
    const path = components.join("/");
    if (path !== this.#cachedPath) {
      const walk = this.#walk(components, (at, component) => this.#imply(at, component));
      this.#cachedDirectory = walk.directory;
      this.#cachedPath = path;
    }
    return this.#cachedDirectory;
  }

  #imply(directory: number, name: string): number {
    const { tree } = this;
    tree.budget.entry();
    const inode = tree.inodes.add(impliedDirectory);
    const existing = tree.lookup(directory, name);
    if (existing === none) return tree.add(directory, name, inode, flag.implied);
    return tree.replace(existing, inode, flag.implied | flag.opaque);
  }

  /**
   * Follows names, and symbolic links of this layer, from the root and never out of it.
   *
   * @param absent called for a name that the layer does not have, or deletes; returns where to go on, `none` to stop
   * @returns where the names lead, and those that are left after a stop
   */
  #walk(components: readonly string[], absent: (at: number, component: string) => number): Walk {
    const { tree } = this;
    const left = [...components].reverse();
    let directory = root;
    let hops = 0;
    for (let component = left.pop(); component !== undefined; component = left.pop()) {
      tree.budget.steps(1);
      if (component === "" || component === ".") continue;
      if (component === "..") {
        directory = tree.parent[directory] ?? root;
        continue;
      }
      const next = tree.lookup(directory, component);
      if (next === none || tree.has(next, flag.whiteout)) {
        const made = absent(directory, component);
        if (made === none) return { directory, left: [component, ...left.reverse()] };
        directory = made;
        continue;
      }
      switch (tree.typeOf(next)) {
        case fileType.directory:
          directory = next;
          break;
        case fileType.symlink: {
          if (++hops > maximumHops) throw new ImageError("its name leads through too many symbolic links");
          const target = tree.inodes.target(tree.inodeOf(next));
          if (target.startsWith("/")) directory = root;
          left.push(...target.split("/").reverse());
          break;
        }
        default:
          throw new ImageError(`a part of its name, ${quote(tree.path(next))}, is no directory`);
      }
    }
    return { directory, left: [] };
  }

  /** The inode that a hard link names, or one that stands for it until a lower layer has it. */
  #linkTarget(linkName: string): number {
    const { tree } = this;
    tree.budget.entry();
    const components = linkComponents(linkName);
    const base = components.pop();
    const missing = (): ImageError =>
      new ImageError(`it is a hard link to ${quote(linkName)}, which is no file of the image`);
    if (base === undefined) throw missing();
    const { directory, left } = this.#walk(components, () => none);
    const [next = base] = left;
    const found = tree.lookup(directory, next);
    if (found === none) {
      if (tree.isClosed(directory) || left.includes("..")) throw missing();
      return this.#await([...pathOf(tree, directory), ...left, base].join("/"));
    }
    if (left.length > 0 || tree.isDirectory(found) || tree.has(found, flag.whiteout)) throw missing();
    return tree.inodeOf(found);
  }

  #await(target: string): number {
    const inode = this.tree.inodes.add(impliedFile);
    this.pending.add({ inode, target });
    return inode;
  }
}

/** A placeholder: the target's own attributes hold once it is found. */
const impliedFile: Attributes = { ...impliedDirectory, mode: fileType.file };

function linkComponents(linkName: string): string[] {
  try {
    return componentsOf(linkName);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(`it is a hard link to a wrong name: ${error.message}`, { cause: error });
  }
}

function pathOf(tree: Tree, directory: number): string[] {
  return directory === root ? [] : tree.path(directory).split("/");
}

function deviceNumber(entry: TarEntry): number {
  const { major, minor } = entry;
  if (major < 0 || minor < 0 || major > 0xfff || minor > 0xf_ffff) {
    throw new ImageError(`the device number ${major}:${minor} is out of range`);
  }
  return encodeDevice(major, minor);
}
