import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "../../errors/index.ts";
import { ioError } from "../../host/system-error.ts";
import { fileType } from "../erofs/format.ts";
import { ErofsImage } from "../erofs/image.ts";
import { impliedDirectory } from "../erofs/inodes.ts";
import { flag, root, type Tree } from "../erofs/tree.ts";
import type { TreeLimits } from "../erofs/budget.ts";
import { checkSymlinkTarget } from "./entry-path.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface DirectoryImport {
  /** Of the path from the directory, without a slash at its start; the directory itself is the empty path. */
  readonly owner: (path: string) => Owner;
  /** Time of every file in seconds since 1970, so that the same content gives the same bytes. */
  readonly seconds: number;
  /** 16 bytes; zeros when left out. */
  readonly uuid?: Uint8Array | undefined;
}

/** Read from a file in one go. */
const bufferBytes = 1 << 18;

/**
 * Makes an EROFS image of a directory of the host: files, directories and symbolic links with their permission bits.
 * The host's owners, times and extended attributes stay behind, and hard links become files of their own. Needs no
 * root.
 *
 * @param source path of the directory
 * @param output path of the image; it appears when it is complete
 * @returns the size of the image in bytes
 * @throws ImageError for a device, a fifo or a socket; IoError when the disk fails. Nothing is left then.
 * @example
 * ```ts
 * await importDirectory("/tmp/root", "/tmp/root.erofs", defaultImportLimits, {
 *   owner: (path) => (path.startsWith("home/me") ? { uid: 1000, gid: 1000 } : { uid: 0, gid: 0 }),
 *   seconds: 0,
 * });
 * ```
 */
export async function importDirectory(
  source: string,
  output: string,
  limits: TreeLimits,
  options: DirectoryImport,
): Promise<number> {
  const image = await ErofsImage.create(output, limits);
  try {
    const tree = image.newTree();
    const directories: (readonly [entry: number, path: string])[] = [[root, ""]];
    tree.inode[root] = await addInode(image, source, "", options);
    tree.unmark(root, flag.implied);
    for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
      const [directory, path] = next;
      const names = await readdir(join(source, path), { encoding: "buffer" });
      // In a fixed order, because contents are written in it.
      for (const bytes of names.sort((a, b) => Buffer.compare(a, b))) {
        const name = nameOf(bytes, path);
        const childPath = path === "" ? name : `${path}/${name}`;
        const entry = await addEntry(image, tree, directory, source, childPath, options);
        if (tree.isDirectory(entry)) directories.push([entry, childPath]);
      }
    }
    return await image.finish(tree, options.uuid ?? new Uint8Array(16));
  } catch (error) {
    await image.abandon();
    throw error instanceof Error && "syscall" in error ? ioError(`read ${source}`, error) : error;
  }
}

function nameOf(bytes: Buffer, directory: string): string {
  const name = bytes.toString("utf8");
  if (!Buffer.from(name).equals(bytes)) {
    throw new ImageError(`a name in ${JSON.stringify(directory)} is no UTF-8: ${JSON.stringify(name)}`);
  }
  return name;
}

async function addEntry(
  image: ErofsImage,
  tree: Tree,
  directory: number,
  source: string,
  path: string,
  options: DirectoryImport,
): Promise<number> {
  const inode = await addInode(image, source, path, options);
  const name = path.slice(path.lastIndexOf("/") + 1);
  return tree.add(directory, Buffer.from(name).toString("latin1"), inode, 0);
}

async function addInode(
  image: ErofsImage,
  source: string,
  path: string,
  options: DirectoryImport,
): Promise<number> {
  const { inodes } = image;
  inodes.budget.entry();
  const host = join(source, path);
  const { mode } = await lstat(host);
  const attributes = { ...impliedDirectory, ...options.owner(path), mode, seconds: options.seconds };
  switch (mode & fileType.mask) {
    case fileType.directory:
      return inodes.add(attributes);
    case fileType.symlink: {
      const target = (await readlink(host, { encoding: "buffer" })).toString("latin1");
      return inodes.addSymlink({ ...attributes, mode: fileType.symlink | 0o777 }, checkSymlinkTarget(target));
    }
    case fileType.file: {
      const inode = inodes.add(attributes);
      await addContent(image, inode, host);
      return inode;
    }
    default:
      throw new ImageError(`${host} is neither a file nor a directory nor a symbolic link`);
  }
}

async function addContent(image: ErofsImage, inode: number, path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    image.data.begin(inode, size, null);
    const buffer = Buffer.allocUnsafe(Math.min(bufferBytes, Math.max(size, 1)));
    for (let at = 0; at < size;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - at), at);
      if (bytesRead === 0) throw new ImageError(`${path} became shorter while it was read`);
      image.data.append(buffer.subarray(0, bytesRead));
      at += bytesRead;
      await image.drained();
    }
    image.data.end();
  } finally {
    await file.close();
  }
}
