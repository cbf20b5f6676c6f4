import assert from "node:assert/strict";
import type { opcodes } from "../../src/file-server/fuse/numbers.ts";
import { Request } from "../../src/file-server/fuse/request.ts";
import { serve } from "../../src/file-server/operations/dispatch.ts";
import type { ServedPath } from "../../src/file-server/options.ts";
import { ServedTree } from "../../src/file-server/served-tree.ts";
import { attributesAt, fields, parseAnswer, requestOf, texts, type Answer } from "./fuse-kernel.ts";

/** Who asks. */
export interface Caller {
  readonly uid?: number;
  readonly gid?: number;
}

const wantedByDefault = {
  kind: "path",
  isFile: false,
  readOnly: false,
  statVirtualization: "strict",
  hostPermissions: "private",
  owner: null,
  quotaBytes: null,
  quotaCountsAll: false,
  layer: null,
} as const;

/** A directory of the host's as the guest's kernel would use it, without one. */
export class ServedDirectory implements Disposable {
  readonly served: ServedTree;
  /** What nobody asked for, as it would be sent. */
  readonly notifications: Buffer[] = [];

  constructor(path: string, options: Partial<ServedPath> = {}) {
    this.served = new ServedTree(0, { ...wantedByDefault, path, ...options }, 1000, (message) => {
      this.notifications.push(message);
      return true;
    });
  }

  /** What comes of a whole message, which may be nothing; the message is the relay's, with its prefix. */
  raw(message: Buffer): Answer | null {
    const reply = serve(this.served, new Request(message.subarray(4)));
    return reply === null ? null : parseAnswer(reply);
  }

  ask(operation: keyof typeof opcodes, node: number, body?: Buffer, caller: Caller = {}): Answer {
    const message = requestOf(operation, node, body, caller);
    const answer = this.raw(message);
    assert.ok(answer, `${operation} has no answer`);
    assert.equal(answer.unique, message.readBigUInt64LE(12));
    return answer;
  }

  /** The body of an answer that must not be an error. */
  must(operation: keyof typeof opcodes, node: number, body?: Buffer, caller: Caller = {}): Buffer {
    const answer = this.ask(operation, node, body, caller);
    assert.equal(answer.errno, 0, `${operation} failed`);
    return answer.body;
  }

  lookup(parent: number, name: string | Buffer): { id: number } & ReturnType<typeof attributesAt> {
    return entryIn(this.must("lookup", parent, texts(name)));
  }

  /** Makes a file and opens it for reading and writing. */
  create(
    parent: number,
    name: string | Buffer,
    { flags = 2, mode = 0o644, ...caller }: Caller & { flags?: number; mode?: number } = {},
  ): { id: number; handle: number } & ReturnType<typeof attributesAt> {
    const head = fields([32, flags], [32, mode], [32, 0o22], [32, 0]);
    const body = this.must("create", parent, Buffer.concat([head, texts(name)]), caller);
    return { ...entryIn(body), handle: Number(body.readBigUInt64LE(128)) };
  }

  mkdir(parent: number, name: string, caller: Caller = {}): { id: number } & ReturnType<typeof attributesAt> {
    const head = fields([32, 0o755], [32, 0o22]);
    return entryIn(this.must("mkdir", parent, Buffer.concat([head, texts(name)]), caller));
  }

  open(node: number, flags = 0): number {
    return Number(this.must("open", node, fields([32, flags], [32, 0])).readBigUInt64LE(0));
  }

  read(node: number, handle: number, offset = 0, size = 4096): Buffer {
    return this.must("read", node, readBody(handle, offset, size));
  }

  write(node: number, handle: number, data: string, offset = 0, flags = 0): Answer {
    return this.ask("write", node, writeBody(handle, offset, data, flags));
  }

  release(node: number, handle: number): void {
    this.must("release", node, fields([64, handle], [32, 0], [32, 0], [64, 0]));
  }

  attributes(node: number): ReturnType<typeof attributesAt> {
    return attributesAt(this.must("getattr", node, fields([32, 0], [32, 0], [64, 0])), 16);
  }

  /** @param what `FATTR_*` */
  setattr(
    node: number,
    what: number,
    change: { size?: number; mode?: number; uid?: number; gid?: number } = {},
  ): Answer {
    const { size = 0, mode = 0, uid = 0, gid = 0 } = change;
    const times = [
      [64, 1_000_000_000],
      [64, 1_000_000_001],
      [64, 0],
      [32, 5],
      [32, 6],
      [32, 0],
    ] as const;
    const head = [
      [32, what],
      [32, 0],
      [64, 0],
      [64, size],
      [64, 0],
    ] as const;
    return this.ask(
      "setattr",
      node,
      fields(...head, ...times, [32, mode], [32, 0], [32, uid], [32, gid], [32, 0]),
    );
  }

  /** Names in a directory, as latin1, in the order in which they come. */
  list(node: number, plus = false): string[] {
    const handle = Number(this.must("opendir", node, fields([32, 0], [32, 0])).readBigUInt64LE(0));
    const names: string[] = [];
    for (let offset = 0; ;) {
      const body = this.must(plus ? "readdirplus" : "readdir", node, readBody(handle, offset, 4096));
      if (body.length === 0) break;
      for (let at = 0; at < body.length;) {
        const dirent = plus ? at + 128 : at;
        const length = body.readUInt32LE(dirent + 16);
        offset = Number(body.readBigUInt64LE(dirent + 8));
        names.push(body.toString("latin1", dirent + 24, dirent + 24 + length));
        at = dirent + ((24 + length + 7) & ~7);
      }
    }
    this.must("releasedir", node, fields([64, handle], [32, 0], [32, 0], [64, 0]));
    return names;
  }

  [Symbol.dispose](): void {
    this.served.close();
  }
}

export function readBody(handle: number, offset: number, size: number): Buffer {
  return fields([64, handle], [64, offset], [32, size], [32, 0], [64, 0], [32, 0], [32, 0]);
}

export function writeBody(handle: number, offset: number, data: string, flags = 0): Buffer {
  const bytes = Buffer.from(data);
  const head = fields([64, handle], [64, offset], [32, bytes.length], [32, flags], [64, 0], [32, 0], [32, 0]);
  return Buffer.concat([head, bytes]);
}

export function entryIn(body: Buffer): { id: number } & ReturnType<typeof attributesAt> {
  return { id: Number(body.readBigUInt64LE(0)), ...attributesAt(body, 40) };
}
