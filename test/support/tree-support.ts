import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import type { TreeEntry, TreeEvent, TreeKind } from "../../src/host/tree/tree.ts";

/** An entry of a tree as somebody might send it. */
export function entry(path: string | Uint8Array, kind: TreeKind, more: Partial<TreeEntry> = {}): TreeEvent {
  const name = typeof path === "string" ? Buffer.from(path) : path;
  const mode = kind === "directory" ? 0o755 : 0o644;
  const target = Buffer.alloc(0);
  return {
    type: "entry",
    entry: { path: name, kind, mode, uid: 0, gid: 0, mtimeNs: 1_000_000_000n, size: 0, target, ...more },
  };
}

export function directory(path: string, more: Partial<TreeEntry> = {}): TreeEvent[] {
  // As a guest has it of lstat(2): no bytes follow.
  return [entry(path, "directory", { size: 4096, ...more })];
}

export function file(path: string | Uint8Array, content: string, more: Partial<TreeEntry> = {}): TreeEvent[] {
  const bytes = Buffer.from(content);
  const head = entry(path, "file", { size: bytes.length, ...more });
  return bytes.length === 0 ? [head] : [head, { type: "data", bytes }];
}

export function link(path: string, target: string): TreeEvent[] {
  const bytes = Buffer.from(target);
  return [entry(path, "symlink", { size: bytes.length, target: bytes })];
}

/** What a directory holds, one line an entry, sorted: what can be compared. Names that are no text are in latin1. */
export async function treeListing(root: string | Buffer): Promise<string[]> {
  const lines: string[] = [];
  const visit = async (path: Buffer, shown: string): Promise<void> => {
    const found = await lstat(path, { bigint: true });
    const mode = Number(found.mode & 0o7777n).toString(8);
    const time = String((found.mtimeNs + 500n) / 1000n);
    if (found.isSymbolicLink()) {
      const target = await readlink(path, { encoding: "buffer" });
      lines.push(`${shown} -> ${target.toString("latin1")} ${time}`);
    } else if (found.isDirectory()) {
      lines.push(`${shown}/ ${mode} ${time}`);
      for (const name of await readdir(path, { encoding: "buffer" })) {
        await visit(Buffer.concat([path, Buffer.from("/"), name]), `${shown}/${name.toString("latin1")}`);
      }
    } else if (found.isFile()) {
      const content = await readFile(path);
      lines.push(`${shown} ${mode} ${time} ${content.length} ${digest(content)}`);
    } else {
      lines.push(`${shown} special`);
    }
  };
  await visit(Buffer.from(root), "");
  return lines.sort();
}

/** Of tests only: tells contents apart. */
function digest(content: Buffer): string {
  let sum = 0;
  for (const byte of content) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum.toString(16);
}
