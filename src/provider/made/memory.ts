import { InvalidConfigError } from "../../errors/index.ts";
import type {
  AttributeChange,
  FileProvider,
  NewAttributes,
  ProvidedEntry,
  ProvidedSpace,
  ProvidedStat,
} from "../file-provider.ts";
import { checkedStat } from "../fuse/checked-stat.ts";
import { systemError } from "../fuse/linux-errors.ts";
import { MemoryFile, pageBytes } from "./memory-file.ts";

/** How much `memory()` holds, and what is in it from the beginning. */
export interface MemoryOptions {
  /** Bytes that all files may take, in pages of 4 KiB, with a page for each file; by default 256 MiB. More is `ENOSPC`. */
  readonly maxBytes?: number;
  /** Contents by path: `{ "/etc/app.json": "{}" }`. Directories on the way are made. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

interface MemoryNode {
  readonly id: number;
  readonly kind: ProvidedStat["kind"];
  mode: number;
  uid: number;
  gid: number;
  atimeMs: number;
  mtimeMs: number;
  ctimeMs: number;
  /** Of a file. */
  readonly content: MemoryFile;
  /** Of a directory. */
  readonly entries: Map<string, MemoryNode>;
  /** Of a link. */
  readonly target: string;
}

const defaultMaxBytes = 256 << 20;
const root = { uid: 0, gid: 0 };

/**
 * Files in this program's memory, made by {@link memory}. What the guest writes is there for this program, and the reverse, through the
 * methods of a provider.
 */
export class MemoryProvider implements FileProvider {
  readonly #root: MemoryNode;
  readonly #maxBytes: number;
  #usedBytes = 0;
  #nextId = 1;
  #files = 0;

  /** @throws InvalidConfigError for a size or a path that is none */
  constructor({ maxBytes = defaultMaxBytes, files = {} }: MemoryOptions = {}) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < pageBytes) {
      throw new InvalidConfigError(`maxBytes of memory() is ${String(maxBytes)}, which is no size in bytes`, {
        hint: `Give ${pageBytes} or more.`,
      });
    }
    this.#maxBytes = maxBytes;
    this.#root = this.#make("directory", { mode: 0o755, ...root });
    for (const [path, content] of Object.entries(files)) this.#put(path, content);
  }

  /** @throws ENOENT, ENOTDIR */
  async stat(path: string): Promise<ProvidedStat> {
    return statOf(this.#find(path));
  }

  /** @throws ENOENT, ENOTDIR */
  async list(path: string): Promise<ProvidedEntry[]> {
    const { entries } = this.#directory(path);
    return Array.from(entries, ([name, node]) => ({ name, stat: statOf(node) }));
  }

  /** @throws ENOENT, EISDIR */
  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#file(path).content.read(offset, length);
  }

  /** @throws ENOENT, EINVAL for what is no link */
  async readLink(path: string): Promise<string> {
    const { kind, target } = this.#find(path);
    if (kind !== "symlink") throw systemError("EINVAL", path);
    return target;
  }

  /** @throws ENOENT, EISDIR, EFBIG, ENOSPC */
  async write(path: string, offset: number, bytes: Uint8Array): Promise<void> {
    if (!Number.isSafeInteger(offset + bytes.length) || offset < 0) throw systemError("EFBIG", path);
    const node = this.#file(path);
    this.#take(node.content.needs(offset, bytes.length), path);
    node.content.write(offset, bytes);
    touch(node);
  }

  /** @throws EEXIST, ENOENT, ENOTDIR, ENOSPC */
  async create(path: string, attributes: NewAttributes = { mode: 0o644, ...root }): Promise<void> {
    this.#add(path, attributes, () => this.#make("file", attributes));
  }

  /** @throws EEXIST, ENOENT, ENOTDIR, ENOSPC */
  async mkdir(path: string, attributes: NewAttributes = { mode: 0o755, ...root }): Promise<void> {
    this.#add(path, attributes, () => this.#make("directory", attributes));
  }

  /** @throws EEXIST, ENOENT, ENOTDIR, ENOSPC */
  async symlink(
    target: string,
    path: string,
    attributes: NewAttributes = { mode: 0o777, ...root },
  ): Promise<void> {
    this.#add(path, attributes, () => this.#make("symlink", attributes, target));
  }

  /** @throws ENOENT, EISDIR */
  async remove(path: string): Promise<void> {
    const { parent, name, node } = this.#entry(path);
    if (node.kind === "directory") throw systemError("EISDIR", path);
    parent.entries.delete(name);
    this.#forget(node);
    touch(parent);
  }

  /** @throws ENOENT, ENOTDIR, ENOTEMPTY */
  async removeDirectory(path: string): Promise<void> {
    const { parent, name, node } = this.#entry(path);
    if (node.kind !== "directory") throw systemError("ENOTDIR", path);
    if (node.entries.size > 0) throw systemError("ENOTEMPTY", path);
    parent.entries.delete(name);
    this.#forget(node);
    touch(parent);
  }

  /** @throws ENOENT, EISDIR, ENOTDIR, ENOTEMPTY, EINVAL for a directory into itself */
  async rename(from: string, to: string): Promise<void> {
    const source = this.#entry(from);
    const { parent, name } = this.#place(to);
    const { node } = source;
    const replaced = parent.entries.get(name);
    if (replaced === node) return;
    if (`${to}/`.startsWith(`${from}/`)) throw systemError("EINVAL", to);
    if (replaced !== undefined) {
      if (node.kind === "directory" && replaced.kind !== "directory") throw systemError("ENOTDIR", to);
      if (node.kind !== "directory" && replaced.kind === "directory") throw systemError("EISDIR", to);
      if (replaced.entries.size > 0) throw systemError("ENOTEMPTY", to);
      this.#forget(replaced);
    }
    source.parent.entries.delete(source.name);
    parent.entries.set(name, node);
    touch(source.parent);
    touch(parent);
    node.ctimeMs = Date.now();
  }

  /** @throws ENOENT, EISDIR, EFBIG */
  async truncate(path: string, size: number): Promise<void> {
    if (!Number.isSafeInteger(size) || size < 0) throw systemError("EFBIG", path);
    const node = this.#file(path);
    const before = node.content.usedBytes;
    node.content.truncate(size);
    this.#usedBytes += node.content.usedBytes - before;
    touch(node);
  }

  /** @throws ENOENT, EINVAL for what no file may have */
  async setAttributes(path: string, change: AttributeChange): Promise<void> {
    const node = this.#find(path);
    requirePossible({ ...statOf(node), ...change }, path);
    Object.assign(node, change, { ctimeMs: Date.now() });
  }

  async statFs(): Promise<ProvidedSpace> {
    const freeBytes = Math.max(0, this.#maxBytes - this.#usedBytes);
    const freeFiles = Math.floor(freeBytes / pageBytes);
    return {
      totalBytes: this.#maxBytes,
      freeBytes,
      totalFiles: this.#files + freeFiles,
      freeFiles,
    };
  }

  #make(kind: MemoryNode["kind"], attributes: NewAttributes, target = ""): MemoryNode {
    const now = Date.now();
    const { mode, uid, gid } = attributes;
    this.#files++;
    return {
      ...{ id: this.#nextId++, kind, mode, uid, gid, target },
      ...{ atimeMs: now, mtimeMs: now, ctimeMs: now },
      content: kind === "file" ? new MemoryFile() : nothing,
      entries: kind === "directory" ? new Map<string, MemoryNode>() : noEntries,
    };
  }

  /** @throws ENOSPC */
  #take(bytes: number, path: string): void {
    if (this.#usedBytes + bytes > this.#maxBytes) throw systemError("ENOSPC", path);
    this.#usedBytes += bytes;
  }

  #forget(node: MemoryNode): void {
    this.#files--;
    this.#usedBytes -= pageBytes + node.content.usedBytes;
  }

  #add(path: string, attributes: NewAttributes, make: () => MemoryNode): void {
    const { parent, name } = this.#place(path);
    if (parent.entries.has(name)) throw systemError("EEXIST", path);
    requirePossible({ kind: "file", ...attributes }, path);
    this.#take(pageBytes, path);
    parent.entries.set(name, make());
    touch(parent);
  }

  #put(path: string, content: string | Uint8Array): void {
    const names = path.split("/").filter((name) => name !== "");
    if (names.length === 0 || names.some((name) => name === "." || name === "..")) {
      throw new InvalidConfigError(`${JSON.stringify(path)} in files of memory() is no path of a file`, {
        hint: 'Write "/a/b.txt".',
      });
    }
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    let above = this.#root;
    for (const name of names.slice(0, -1)) {
      let next = above.entries.get(name);
      if (next === undefined) {
        this.#take(pageBytes, path);
        above.entries.set(name, (next = this.#make("directory", { mode: 0o755, ...root })));
      }
      if (next.kind !== "directory") {
        throw new InvalidConfigError(`${JSON.stringify(path)} in files of memory() leads through a file`);
      }
      above = next;
    }
    const file = this.#make("file", { mode: 0o644, ...root });
    this.#take(pageBytes + file.content.needs(0, bytes.length), path);
    file.content.write(0, bytes);
    above.entries.set(names.at(-1) ?? "", file);
  }

  #find(path: string): MemoryNode {
    let node = this.#root;
    for (const name of path.split("/")) {
      if (name === "") continue;
      if (node.kind !== "directory") throw systemError("ENOTDIR", path);
      const next = node.entries.get(name);
      if (next === undefined) throw systemError("ENOENT", path);
      node = next;
    }
    return node;
  }

  #directory(path: string): MemoryNode {
    const node = this.#find(path);
    if (node.kind !== "directory") throw systemError("ENOTDIR", path);
    return node;
  }

  #file(path: string): MemoryNode {
    const node = this.#find(path);
    if (node.kind === "directory") throw systemError("EISDIR", path);
    if (node.kind === "symlink") throw systemError("ELOOP", path);
    return node;
  }

  #place(path: string): { readonly parent: MemoryNode; readonly name: string } {
    const at = path.lastIndexOf("/");
    const name = path.slice(at + 1);
    if (name === "") throw systemError("EBUSY", path);
    return { parent: this.#directory(path.slice(0, Math.max(0, at))), name };
  }

  #entry(path: string): { readonly parent: MemoryNode; readonly name: string; readonly node: MemoryNode } {
    const { parent, name } = this.#place(path);
    const node = parent.entries.get(name);
    if (node === undefined) throw systemError("ENOENT", path);
    return { parent, name, node };
  }
}

const nothing = new MemoryFile();
const noEntries = new Map<string, MemoryNode>();

function touch(node: MemoryNode): void {
  node.mtimeMs = node.ctimeMs = Date.now();
}

/** With what cannot be, a file could not be told of to any guest. @throws EINVAL */
function requirePossible(stat: ProvidedStat, path: string): void {
  try {
    checkedStat(stat);
  } catch {
    throw systemError("EINVAL", path);
  }
}

function statOf(node: MemoryNode): ProvidedStat {
  const { id, kind, mode, uid, gid, atimeMs, mtimeMs, ctimeMs, content, target } = node;
  const size = kind === "symlink" ? Buffer.byteLength(target) : content.size;
  return { id, kind, mode, uid, gid, atimeMs, mtimeMs, ctimeMs, size, usedBytes: content.usedBytes };
}

/**
 * Files in this program's memory, which the guest may write. Everything of a file system is there but hard links and devices.
 *
 * @throws InvalidConfigError
 *
 * @example
 * ```ts
 * import { memory, Sandbox } from "microsandbox";
 *
 * const files = memory({ files: { "/task.txt": "2 3\n" }, maxBytes: 16 << 20 });
 * await using sandbox = await Sandbox.builder("memory-example")
 *   .image("localhost/base")
 *   .volume("/work", (m) => m.provider(files))
 *   .replace()
 *   .create();
 * await sandbox.shell("awk '{ print $1 * $2 }' /work/task.txt > /work/result.txt");
 * console.log(Buffer.from(await files.read("/result.txt", 0, 100)).toString()); // prints 6
 * ```
 */
export function memory(options: MemoryOptions = {}): MemoryProvider {
  return new MemoryProvider(options);
}
