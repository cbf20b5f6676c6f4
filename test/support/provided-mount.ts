import assert from "node:assert/strict";
import type { opcodes } from "../../src/file-server/fuse/numbers.ts";
import type { FileProvider, ProviderFailure } from "../../src/provider/file-provider.ts";
import { ProviderServer, type ProviderServerOptions } from "../../src/provider/fuse/provider-server.ts";
import { AnswerReader, attributesAt, fields, requestOf, texts, type Answer } from "./fuse-kernel.ts";
import { entryIn, readBody, writeBody, type Caller } from "./served-directory.ts";

type Entry = { readonly id: number } & ReturnType<typeof attributesAt>;

/** A provider as the guest's kernel would use it, without one. */
export class ProvidedMount implements Disposable {
  readonly server: ProviderServer;
  /** What the host was told. */
  readonly failures: (ProviderFailure & { readonly message: string })[] = [];
  /** Bytes that were received and are done with. */
  consumed = 0;
  sent = 0;
  /** Bytes of answers that are said not to be taken yet. */
  unsent = 0;
  readonly #waiting = new Map<bigint, (answer: Answer) => void>();
  /** Answers that nobody waits for. */
  readonly unexpected: Answer[] = [];

  constructor(files: FileProvider, options: Partial<ProviderServerOptions> = {}) {
    const reader = new AnswerReader();
    const unsent = (): number => this.unsent;
    this.server = new ProviderServer(
      files,
      {
        ...{ guest: "/made", readOnly: false, owner: null, cacheMs: 0, timeoutMs: 60_000 },
        onError: ({ message }, failure) => this.failures.push({ ...failure, message }),
        ...options,
      },
      {
        get unsent() {
          return unsent();
        },
        answer: (message) => {
          for (const answer of reader.push(message)) this.#take(answer);
        },
        consume: (bytes) => (this.consumed += bytes),
      },
    );
  }

  /** Sends whatever it is. */
  raw(message: Buffer): void {
    this.sent += message.length;
    this.server.receive(message);
  }

  /** What comes of a message that has an answer. */
  answerTo(message: Buffer): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#waiting.set(message.readBigUInt64LE(12), resolve);
    this.raw(message);
    return promise;
  }

  ask(operation: keyof typeof opcodes, node: number, body?: Buffer, caller: Caller = {}): Promise<Answer> {
    return this.answerTo(requestOf(operation, node, body, caller));
  }

  /** The body of an answer that must not be an error. */
  async must(
    operation: keyof typeof opcodes,
    node: number,
    body?: Buffer,
    caller: Caller = {},
  ): Promise<Buffer> {
    const answer = await this.ask(operation, node, body, caller);
    assert.equal(answer.errno, 0, `${operation} failed`);
    return answer.body;
  }

  /** @returns with id 0 for nothing */
  async lookup(parent: number, name: string | Buffer): Promise<Entry> {
    return entryIn(await this.must("lookup", parent, texts(name)));
  }

  /** Makes a file and opens it for reading and writing. */
  async create(
    parent: number,
    name: string | Buffer,
    { flags = 2, mode = 0o644, ...caller }: Caller & { flags?: number; mode?: number } = {},
  ): Promise<Entry & { readonly handle: number }> {
    const head = fields([32, flags], [32, mode], [32, 0o22], [32, 0]);
    const body = await this.must("create", parent, Buffer.concat([head, texts(name)]), caller);
    return { ...entryIn(body), handle: Number(body.readBigUInt64LE(128)) };
  }

  async mkdir(parent: number, name: string): Promise<Entry> {
    const head = fields([32, 0o755], [32, 0o22]);
    return entryIn(await this.must("mkdir", parent, Buffer.concat([head, texts(name)])));
  }

  async open(node: number, flags = 0): Promise<number> {
    return Number((await this.must("open", node, fields([32, flags], [32, 0]))).readBigUInt64LE(0));
  }

  async read(node: number, handle: number, offset = 0, size = 4096): Promise<string> {
    return (await this.must("read", node, readBody(handle, offset, size))).toString();
  }

  write(node: number, handle: number, data: string, offset = 0): Promise<Answer> {
    return this.ask("write", node, writeBody(handle, offset, data));
  }

  async release(node: number, handle: number): Promise<void> {
    await this.must("release", node, fields([64, handle], [32, 0], [32, 0], [64, 0]));
  }

  async attributes(node: number): Promise<ReturnType<typeof attributesAt>> {
    return attributesAt(await this.must("getattr", node, getattrBody), 16);
  }

  rename(from: number, name: string, to: number, newName: string): Promise<Answer> {
    return this.ask("rename", from, Buffer.concat([fields([64, to]), texts(name, newName)]));
  }

  /** @param what `FATTR_*` */
  setattr(
    node: number,
    what: number,
    change: {
      readonly size?: number;
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
      /** Seconds. */
      readonly atime?: number;
      readonly mtime?: number;
    } = {},
  ): Promise<Answer> {
    const { size = 0, mode = 0, uid = 0, gid = 0 } = change;
    const { atime = 1_000_000_000, mtime = 1_000_000_001 } = change;
    const head = fields([32, what], [32, 0], [64, 0], [64, size], [64, 0]);
    const times = fields([64, atime], [64, mtime], [64, 0], [32, 5], [32, 6_000_000], [32, 0]);
    const rest = fields([32, mode], [32, 0], [32, uid], [32, gid], [32, 0]);
    return this.ask("setattr", node, Buffer.concat([head, times, rest]));
  }

  forget(node: number, lookups: number): void {
    this.raw(requestOf("forget", node, fields([64, lookups])));
  }

  /** Names in a directory, in the order in which they come. */
  async list(node: number, plus = false): Promise<string[]> {
    const handle = Number((await this.must("opendir", node, fields([32, 0], [32, 0]))).readBigUInt64LE(0));
    const names: string[] = [];
    for (let offset = 0; ;) {
      const body = await this.must(plus ? "readdirplus" : "readdir", node, readBody(handle, offset, 4096));
      if (body.length === 0) break;
      for (let at = 0; at < body.length;) {
        const dirent = plus ? at + 128 : at;
        const length = body.readUInt32LE(dirent + 16);
        offset = Number(body.readBigUInt64LE(dirent + 8));
        names.push(body.toString("utf8", dirent + 24, dirent + 24 + length));
        at = dirent + ((24 + length + 7) & ~7);
      }
    }
    await this.must("releasedir", node, fields([64, handle], [32, 0], [32, 0], [64, 0]));
    return names;
  }

  [Symbol.dispose](): void {
    this.server.close();
  }

  #take(answer: Answer): void {
    const waiting = this.#waiting.get(answer.unique);
    this.#waiting.delete(answer.unique);
    if (waiting === undefined) this.unexpected.push(answer);
    else waiting(answer);
  }
}

export const getattrBody: Buffer = fields([32, 0], [32, 0], [64, 0]);
