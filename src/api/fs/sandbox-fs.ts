import { checkWhole } from "../../config/checks.ts";
import type { WaitOptions } from "../../host/operation.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import { copyFromHost } from "./copy/copy-from-host.ts";
import { copyOptions, type FsCopyOptions } from "./copy/copy-options.ts";
import { copyToHost } from "./copy/copy-to-host.ts";
import { hostPathText, sourcePath, type HostPath } from "./copy/host-path.ts";
import { readListing } from "./fs-listing.ts";
import { FsPaths, optionalMode } from "./fs-paths.ts";
import { FsReadStream } from "./fs-read-stream.ts";
import type { GuestFsEntry } from "./guest-entry.ts";
import { FsWatcher } from "./fs-watcher.ts";
import { bytesOf, decodeText, type FsData } from "./contents.ts";
import { FsWriteSink } from "./fs-write-sink.ts";
import type { PathCall } from "./guest-files.ts";
import { guestPath, pathText, type GuestPath } from "./guest-path.ts";

/** Which part of a file is read. */
export interface FsReadOptions extends WaitOptions {
  /** Bytes from its beginning. */
  readonly offset?: number | null | undefined;
  /** Bytes at most; by default to its end. */
  readonly length?: number | null | undefined;
}

export interface FsWriteOptions extends WaitOptions {
  /** The twelve bits of chmod(2). By default those of the file that is replaced, 0o644 for a new one. */
  readonly mode?: number | null | undefined;
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
export class SandboxFs extends FsPaths {
  /** All of a file, or a part of it. @throws SandboxFsError */
  async read(path: GuestPath, options: FsReadOptions = {}): Promise<Buffer> {
    return await this.files.run(
      "read",
      path,
      options,
      (call) =>
        this.files.during(call, readRequest(call, options), async (stream) => {
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
    return decodeText(bytes, pathText(guestPath("the path", path)));
  }

  /** The same as {@link readToString}. */
  async readString(path: GuestPath, options: FsReadOptions = {}): Promise<string> {
    return await this.readToString(path, options);
  }

  /** Opens a file to be read as it arrives, in pieces. @throws SandboxFsError when it cannot be opened */
  async readStream(path: GuestPath, options: FsReadOptions = {}): Promise<FsReadStream> {
    return await this.files.open(
      "read",
      path,
      options,
      async (call) => {
        const stream = await this.files.stream(call, readRequest(call, options));
        try {
          const { size } = await stream.opened(call.operation.signal);
          return new FsReadStream(this.files.control, stream, size);
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
  async write(path: GuestPath, data: FsData, options: FsWriteOptions = {}): Promise<void> {
    const bytes = bytesOf(data);
    await this.files.run(
      "write",
      path,
      options,
      (call) =>
        this.files.during(call, writeRequest(call, options), async (stream) => {
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
    return await this.files.open(
      "write",
      path,
      options,
      async (call) => {
        const stream = await this.files.stream(call, writeRequest(call, options));
        try {
          await stream.opened(call.operation.signal);
          return new FsWriteSink(this.files.control, stream);
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
    // What is no object is refused as by all other calls.
    const { recursive } = Object(options) as typeof options;
    return recursive === true ? this.#walk(path, options) : this.#list(path, options);
  }

  async #list(path: GuestPath, options: WaitOptions): Promise<GuestFsEntry[]> {
    return await this.files.run(
      "list",
      path,
      options,
      async (call) => {
        const entries: GuestFsEntry[] = [];
        for await (const entry of readListing(this.files, call, false)) entries.push(entry);
        return entries;
      },
      { recursive: "boolean" },
    );
  }

  async *#walk(path: GuestPath, options: WaitOptions): AsyncGenerator<GuestFsEntry, void, undefined> {
    yield* this.files.iterate("list", path, options, (call) => readListing(this.files, call, true), {
      recursive: "boolean",
    });
  }

  /**
   * Copies a file or a directory of the host into the guest: one stream, however many files it has. Holes stay holes.
   *
   * A directory comes with modes, times and links; if one is there, its contents go into that. A single file gets the mode of the file
   * that it replaces, or 0o644. All of it is root's. `archive` keeps more.
   *
   * @param hostPath text, relative to this process's working directory, or a `file:` URL; bytes for a name that is no UTF-8
   * @param guestPath of the copy itself: a file does not go into a directory that is there, nor to a path that ends in a slash
   * @throws IoError for the host's side; SandboxFsError for the guest's; PartialCopyError when all but some entries was copied, such as
   *   devices
   *
   * @example
   * ```ts
   * import { mkdtemp, writeFile } from "node:fs/promises";
   * import { Sandbox } from "microsandbox";
   *
   * const directory = await mkdtemp("/tmp/copy-example-");
   * await writeFile(`${directory}/input.txt`, "hello\n");
   * await using sandbox = await Sandbox.builder("copy-example").image("localhost/base").replace().create();
   * await sandbox.fs().copyFromHost(directory, "/work");
   * await sandbox.shell("tr a-z A-Z < /work/input.txt > /work/output.txt");
   * await sandbox.fs().copyToHost("/work", `${directory}/results`);
   * ```
   */
  async copyFromHost(
    hostPath: HostPath | Uint8Array,
    guestPath: GuestPath,
    options: FsCopyOptions = {},
  ): Promise<void> {
    const source = sourcePath("the path to copy", hostPath);
    await this.files.run(
      "copy to",
      guestPath,
      options,
      (call) => copyFromHost(this.files, call, source, options),
      copyOptions,
    );
  }

  /**
   * Copies a file or a directory of the guest to the host, as {@link copyFromHost} does it the other way. The guest is not trusted:
   * whatever names and links it offers, nothing is written outside `hostPath`. What did not stand there is there when it is whole.
   * A single file that replaces one keeps that one's owner and mode; links, pipes and devices are written through. Everything else
   * belongs to the caller.
   *
   * @param hostPath of the copy itself; its directory must be there
   * @throws as {@link copyFromHost}
   */
  async copyToHost(guestPath: GuestPath, hostPath: HostPath, options: FsCopyOptions = {}): Promise<void> {
    const target = hostPathText("the path to copy to", hostPath);
    await this.files.run(
      "copy from",
      guestPath,
      options,
      (call) => copyToHost(this.files, call, target, options),
      copyOptions,
    );
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
    return await this.files.open("watch", path, options, async (call) => {
      const stream = await this.files.stream(call, { type: "FileWatch", path: call.path });
      try {
        await stream.opened(call.operation.signal);
        return new FsWatcher(this.files.control, stream, call.path);
      } catch (error) {
        stream.abort(error as Error);
        throw error;
      }
    });
  }
}

function readRequest({ path }: PathCall, { offset, length }: FsReadOptions): Message {
  return {
    type: "FileRead",
    path,
    offset: checkWhole("the offset", offset ?? 0, 0, Number.MAX_SAFE_INTEGER),
    length:
      length === undefined || length === null
        ? null
        : checkWhole("the length", length, 0, Number.MAX_SAFE_INTEGER),
  };
}

function writeRequest({ path }: PathCall, { mode }: FsWriteOptions): Message {
  return { type: "FileWrite", path, mode: optionalMode(mode) };
}
