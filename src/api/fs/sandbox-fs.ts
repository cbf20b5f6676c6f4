import { checkWhole } from "../../config/checks.ts";
import { InvalidConfigError, OutputTooLongError, SandboxFsError } from "../../errors/index.ts";
import type { WaitOptions } from "../../host/operation.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { readListing } from "./fs-listing.ts";
import { FsReadStream } from "./fs-read-stream.ts";
import { metadataOf, type GuestFsEntry, type GuestFsMetadata } from "./guest-entry.ts";
import { FsWatcher } from "./fs-watcher.ts";
import { bytesOf, FsWriteSink } from "./fs-write-sink.ts";
import { GuestFiles, type PathCall } from "./guest-files.ts";
import { guestPath, pathText, type GuestPath } from "./guest-path.ts";

/** Which part of a file is read. */
export interface FsReadOptions extends WaitOptions {
  /** Bytes from its beginning. */
  readonly offset?: number | undefined;
  /** Bytes at most; by default to its end. */
  readonly length?: number | undefined;
}

export interface FsWriteOptions extends WaitOptions {
  /** The twelve bits of chmod(2). By default those of the file that is replaced, 0o644 for a new one. */
  readonly mode?: number | undefined;
}

export interface FsMkdirOptions extends WaitOptions {
  /** Make missing directories above it too, and take one that is there. True by default. */
  readonly parents?: boolean | undefined;
  /** Of the directory that is made; by default 0o755. */
  readonly mode?: number | undefined;
}

export interface FsLinkOptions extends WaitOptions {
  /** Of what a symbolic link leads to, as by default, or of the link itself. */
  readonly followSymlinks?: boolean | undefined;
}

/** Times as a Date, or as ms since 1970. */
export interface FsTimes {
  readonly accessed?: Date | number | undefined;
  readonly modified?: Date | number | undefined;
}

/**
 * The files of a running sandbox, as its root sees them: whoever the sandbox's user is, and with or without a network. Paths are
 * absolute. A symbolic link on the way is followed in the guest.
 *
 * Every method takes `{ signal, timeoutMs }` in its last argument. Those that fail in the guest throw a {@link SandboxFsError}.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("fs-example").image("localhost/base").replace().create();
 * const fs = sandbox.fs();
 * await fs.mkdir("/work/data");
 * await fs.write("/work/data/greeting.txt", "hello\n");
 * console.log(await fs.readToString("/work/data/greeting.txt")); // hello
 * for (const { path, kind, size } of await fs.list("/work/data")) console.log(path, kind, size);
 * ```
 */
export class SandboxFs {
  readonly #files: GuestFiles;

  /** @internal */
  constructor(control: SandboxControl) {
    this.#files = new GuestFiles(control);
  }

  /** @internal */
  get files(): GuestFiles {
    return this.#files;
  }

  /** All of a file, or a part of it. @throws SandboxFsError */
  async read(path: GuestPath, options: FsReadOptions = {}): Promise<Uint8Array> {
    return await this.#files.run(
      "read",
      path,
      options,
      (call) =>
        this.#files.during(call, readRequest(call, options), async (stream) => {
          const { signal } = call.operation;
          const chunks: Buffer[] = [];
          for (let chunk = await stream.next(signal); chunk !== null; chunk = await stream.next(signal))
            chunks.push(chunk);
          return Buffer.concat(chunks);
        }),
      { offset: "any", length: "any" },
    );
  }

  /**
   * All of a file as text.
   *
   * @throws SandboxFsError, also when it is no UTF-8; OutputTooLongError when it is longer than a string can be
   */
  async readToString(path: GuestPath, options: FsReadOptions = {}): Promise<string> {
    const bytes = await this.read(path, options);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      const shown = pathText(guestPath("the path", path));
      if (!(error instanceof TypeError)) {
        throw new OutputTooLongError(
          `${shown} has ${bytes.length} bytes, which is longer than a string can be`,
          {
            cause: error,
            hint: "Read its bytes (read), or stream it (readStream).",
          },
        );
      }
      throw new SandboxFsError(
        `decode: the file is no UTF-8: ${shown}`,
        { operation: "decode", path: shown, errno: null, errnoName: null },
        { hint: "Read its bytes (read)." },
      );
    }
  }

  /** The same as {@link readToString}. */
  async readString(path: GuestPath, options: FsReadOptions = {}): Promise<string> {
    return await this.readToString(path, options);
  }

  /** Opens a file to be read as it arrives, in pieces. @throws SandboxFsError when it cannot be opened */
  async readStream(path: GuestPath, options: FsReadOptions = {}): Promise<FsReadStream> {
    return await this.#files.open(
      "read",
      path,
      options,
      async (call) => {
        const stream = await this.#files.stream(call, readRequest(call, options));
        try {
          const { size } = await stream.opened(call.operation.signal);
          return new FsReadStream(this.#files.control, stream, size);
        } catch (error) {
          stream.abort(error as Error);
          throw error;
        }
      },
      { offset: "any", length: "any" },
    );
  }

  /**
   * Writes a file, new or in the place of the old one, whose mode and owner it gets. Whoever reads meanwhile sees the old contents or
   * the new ones, never a part: they are written aside and renamed. Other names of the old file (hard links) keep the old contents.
   * Where a file cannot be replaced, such as in `/proc` or when it has a mount of its own, it is written in place.
   *
   * @param data bytes, or a string as UTF-8
   * @throws SandboxFsError; the directory must be there
   */
  async write(path: GuestPath, data: Uint8Array | string, options: FsWriteOptions = {}): Promise<void> {
    const bytes = bytesOf(data);
    await this.#files.run(
      "write",
      path,
      options,
      (call) =>
        this.#files.during(call, writeRequest(call, options), async (stream) => {
          const { signal } = call.operation;
          await stream.write(bytes, signal);
          stream.end();
          await stream.finished(signal);
        }),
      { mode: "any" },
    );
  }

  /** Opens a file to be written in pieces, as {@link write} does it. @throws SandboxFsError when it cannot be opened */
  async writeStream(path: GuestPath, options: FsWriteOptions = {}): Promise<FsWriteSink> {
    return await this.#files.open(
      "write",
      path,
      options,
      async (call) => {
        const stream = await this.#files.stream(call, writeRequest(call, options));
        try {
          await stream.opened(call.operation.signal);
          return new FsWriteSink(this.#files.control, stream);
        } catch (error) {
          stream.abort(error as Error);
          throw error;
        }
      },
      { mode: "any" },
    );
  }

  /**
   * What is in a directory, in no order: one level, or with `recursive` everything below, as an iterator that holds no more than a
   * little of it. Links are not followed, but for the path itself.
   *
   * @throws SandboxFsError when it is no directory; of what is below the first that could not be listed, after all else
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("list-example").image("localhost/base").replace().create();
   * let links = 0;
   * for await (const { kind } of sandbox.fs().list("/bin", { recursive: true })) if (kind === "symlink") links++;
   * console.log(links > 100); // true
   * ```
   */
  list(
    path: GuestPath,
    options?: WaitOptions & { readonly recursive?: false | undefined },
  ): Promise<GuestFsEntry[]>;
  list(path: GuestPath, options: WaitOptions & { readonly recursive: true }): AsyncIterable<GuestFsEntry>;
  list(
    path: GuestPath,
    options: WaitOptions & { readonly recursive?: boolean | undefined } = {},
  ): Promise<GuestFsEntry[]> | AsyncIterable<GuestFsEntry> {
    return options.recursive === true ? this.#walk(path, options) : this.#list(path, options);
  }

  async #list(path: GuestPath, options: WaitOptions): Promise<GuestFsEntry[]> {
    return await this.#files.run(
      "list",
      path,
      options,
      async (call) => {
        const entries: GuestFsEntry[] = [];
        for await (const entry of readListing(this.#files, call, false)) entries.push(entry);
        return entries;
      },
      { recursive: "boolean" },
    );
  }

  async *#walk(path: GuestPath, options: WaitOptions): AsyncGenerator<GuestFsEntry, void, undefined> {
    yield* this.#files.iterate("list", path, options, (call) => readListing(this.#files, call, true), {
      recursive: "boolean",
    });
  }

  /** Makes a directory. @throws SandboxFsError, when there is one only with `parents: false` */
  async mkdir(path: GuestPath, options: FsMkdirOptions = {}): Promise<void> {
    const others = { parents: "boolean", mode: "any" } as const;
    await this.#do(
      "make directory",
      path,
      options,
      (bytes) => ({
        type: "FileMakeDirectory",
        path: bytes,
        parents: options.parents ?? true,
        mode: checkMode(options.mode),
      }),
      others,
    );
  }

  /**
   * Removes a directory with all that is in it. Links are removed, not followed; what is mounted below is not entered.
   *
   * @throws SandboxFsError, also for what is no directory
   */
  async removeDir(path: GuestPath, options: WaitOptions = {}): Promise<void> {
    await this.#do("remove directory", path, options, (bytes) => ({
      type: "FileRemove",
      path: bytes,
      recursive: true,
    }));
  }

  /** Removes a file, a link, or whatever else is no directory. @throws SandboxFsError */
  async remove(path: GuestPath, options: WaitOptions = {}): Promise<void> {
    await this.#do("remove", path, options, (bytes) => ({
      type: "FileRemove",
      path: bytes,
      recursive: false,
    }));
  }

  /** Copies one file within the guest, with its mode and its holes; what is there is replaced. @throws SandboxFsError */
  async copy(from: GuestPath, to: GuestPath, options: WaitOptions = {}): Promise<void> {
    const target = guestPath("the path to copy to", to);
    await this.#do("copy", from, options, (bytes) => ({ type: "FileCopy", from: bytes, to: target }));
  }

  /** Renames a file or a directory, as rename(2): a file that is there is replaced. @throws SandboxFsError */
  async rename(from: GuestPath, to: GuestPath, options: WaitOptions = {}): Promise<void> {
    const target = guestPath("the new path", to);
    await this.#do("rename", from, options, (bytes) => ({ type: "FileRename", from: bytes, to: target }));
  }

  /** What is known of a file; of what a link leads to unless `followSymlinks` is false. @throws SandboxFsError */
  async stat(path: GuestPath, options: FsLinkOptions = {}): Promise<GuestFsMetadata> {
    return await this.#files.run(
      "look at",
      path,
      options,
      async (call) => {
        const follow = options.followSymlinks ?? true;
        return metadataOf(
          await this.#files.ask(call, { type: "FileStat", path: call.path, follow }, "FileMetadata"),
        );
      },
      { followSymlinks: "boolean" },
    );
  }

  /** Whether there is something; a link that leads nowhere is nothing. @throws what is not about the file */
  async exists(path: GuestPath, options: WaitOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      if (error instanceof SandboxFsError) return false;
      throw error;
    }
  }

  /** Sets the twelve bits of chmod(2), of what a link leads to. @throws SandboxFsError */
  async chmod(path: GuestPath, mode: number, options: WaitOptions = {}): Promise<void> {
    const bits = checkMode(mode) ?? 0;
    await this.#do("change the mode of", path, options, (bytes) => ({
      type: "FileSetMode",
      path: bytes,
      mode: bits,
    }));
  }

  /** Sets the owner, by numbers; null: as it is. @throws SandboxFsError */
  async chown(
    path: GuestPath,
    uid: number | null,
    gid: number | null,
    options: FsLinkOptions = {},
  ): Promise<void> {
    const owner = { uid: checkId("the uid", uid), gid: checkId("the gid", gid) };
    await this.#do(
      "change the owner of",
      path,
      options,
      (bytes) => ({
        type: "FileSetOwner",
        path: bytes,
        ...owner,
        follow: options.followSymlinks ?? true,
      }),
      { followSymlinks: "boolean" },
    );
  }

  /** Sets when a file was read and written last; what is left out stays. @throws SandboxFsError */
  async utimes(path: GuestPath, times: FsTimes, options: FsLinkOptions = {}): Promise<void> {
    const { accessed, modified, ...others } = times;
    if (Object.keys(others).length > 0)
      throw new InvalidConfigError(`there is no time ${Object.keys(others).join(", ")}`, {
        hint: "Give accessed, modified, or both.",
      });
    const set = {
      accessedNs: nanoseconds("accessed", accessed),
      modifiedNs: nanoseconds("modified", modified),
    };
    await this.#do(
      "change the times of",
      path,
      options,
      (bytes) => ({ type: "FileSetTimes", path: bytes, ...set, follow: options.followSymlinks ?? true }),
      { followSymlinks: "boolean" },
    );
  }

  /** Cuts a file off, or makes it longer by a hole. @param size bytes @throws SandboxFsError */
  async truncate(path: GuestPath, size = 0, options: WaitOptions = {}): Promise<void> {
    const bytes = checkWhole("the size", size, 0, Number.MAX_SAFE_INTEGER);
    await this.#do("truncate", path, options, (target) => ({
      type: "FileTruncate",
      path: target,
      size: bytes,
    }));
  }

  /** Makes a symbolic link. @param target where it leads, from where it is; need not be there @throws SandboxFsError */
  async symlink(target: GuestPath, path: GuestPath, options: WaitOptions = {}): Promise<void> {
    const bytes = linkTarget(target);
    await this.#do("make link", path, options, (link) => ({
      type: "FileSymlink",
      target: bytes,
      path: link,
    }));
  }

  /** Where a symbolic link leads, as it says. @throws SandboxFsError, also when it is no UTF-8: see {@link readLinkBytes} */
  async readLink(path: GuestPath, options: WaitOptions = {}): Promise<string> {
    return asText("readlink", await this.readLinkBytes(path, options));
  }

  /** The same in bytes. */
  async readLinkBytes(path: GuestPath, options: WaitOptions = {}): Promise<Uint8Array> {
    return await this.#files.run("read link", path, options, async (call) => {
      const answer = await this.#files.ask(call, { type: "FileReadLink", path: call.path }, "FilePath");
      return answer.path;
    });
  }

  /** The path without links, `.` and `..`. @throws SandboxFsError, also when it is no UTF-8: see {@link realPathBytes} */
  async realPath(path: GuestPath, options: WaitOptions = {}): Promise<string> {
    return asText("realpath", await this.realPathBytes(path, options));
  }

  /** The same in bytes. */
  async realPathBytes(path: GuestPath, options: WaitOptions = {}): Promise<Uint8Array> {
    return await this.#files.run("resolve", path, options, async (call) => {
      const answer = await this.#files.ask(call, { type: "FileRealPath", path: call.path }, "FilePath");
      return answer.path;
    });
  }

  /**
   * Tells what happens to a file, or in a directory (not below it), from the moment this resolves.
   *
   * @throws SandboxFsError when it cannot be watched
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("watch-example").image("localhost/base").replace().create();
   * await using watcher = await sandbox.fs().watch("/tmp");
   * await sandbox.shell("echo hello > /tmp/new");
   * for await (const { kind, path } of watcher) {
   *   console.log(kind, path); // created /tmp/new
   *   break;
   * }
   * ```
   */
  async watch(path: GuestPath, options: WaitOptions = {}): Promise<FsWatcher> {
    return await this.#files.open("watch", path, options, async (call) => {
      const stream = await this.#files.stream(call, { type: "FileWatch", path: call.path });
      try {
        await stream.opened(call.operation.signal);
        return new FsWatcher(this.#files.control, stream, call.path);
      } catch (error) {
        stream.abort(error as Error);
        throw error;
      }
    });
  }

  /** Asks for something that is answered by its having been done. */
  async #do(
    verb: string,
    path: GuestPath,
    options: WaitOptions,
    request: (path: Buffer) => Message,
    others?: Parameters<GuestFiles["run"]>[4],
  ): Promise<void> {
    await this.#files.run(
      verb,
      path,
      options,
      async (call) => {
        await this.#files.ask(call, request(call.path), "FileDone");
      },
      others,
    );
  }
}

function readRequest({ path }: PathCall, { offset, length }: FsReadOptions): Message {
  return {
    type: "FileRead",
    path,
    offset: checkWhole("the offset", offset ?? 0, 0, Number.MAX_SAFE_INTEGER),
    length: length === undefined ? null : checkWhole("the length", length, 0, Number.MAX_SAFE_INTEGER),
  };
}

function writeRequest({ path }: PathCall, { mode }: FsWriteOptions): Message {
  return { type: "FileWrite", path, mode: checkMode(mode) };
}

function checkMode(mode: number | undefined): number | null {
  return mode === undefined ? null : checkWhole("the mode", mode, 0, 0o7777);
}

/** -1 means "as it is" to chown(2). */
function checkId(name: string, id: number | null): number | null {
  return id === null ? null : checkWhole(name, id, 0, 0xffff_fffe);
}

function nanoseconds(name: string, time: Date | number | undefined): bigint | null {
  if (time === undefined) return null;
  const ms = time instanceof Date ? time.getTime() : time;
  // What 64 bits of nanoseconds hold: 1677 to 2262.
  if (typeof ms === "number" && Math.abs(ms) <= 9.2e15 / 1000) return BigInt(Math.round(ms * 1000)) * 1000n;
  throw new InvalidConfigError(`the time ${name} is none that can be set`, {
    hint: "Give a Date, or ms since 1970.",
  });
}

/** A target need not be absolute. */
function linkTarget(target: GuestPath): Buffer {
  const bytes = typeof target === "string" && target.isWellFormed() ? Buffer.from(target) : target;
  if (bytes instanceof Uint8Array && bytes.length > 0 && bytes.length < 4096 && !bytes.includes(0))
    return Buffer.from(bytes);
  throw new InvalidConfigError("the target of the link is none", {
    hint: "Give 1 to 4095 bytes of text without a NUL, or a Uint8Array of them.",
  });
}

function asText(operation: string, bytes: Uint8Array): string {
  const text = pathText(bytes);
  if (Buffer.from(text).equals(bytes)) return text;
  throw new SandboxFsError(
    `${operation}: the path is no UTF-8: ${text}`,
    { operation, path: text, errno: null, errnoName: null },
    { hint: "Ask for its bytes (readLinkBytes, realPathBytes)." },
  );
}
