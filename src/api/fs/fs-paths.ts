import { checkMode, checkObject, checkWhole } from "../../config/checks.ts";
import { isTooLongPath } from "../../config/guest-text.ts";
import { InvalidConfigError, SandboxFsError } from "../../errors/index.ts";
import type { OtherOptions } from "../../host/call-options.ts";
import type { WaitOptions } from "../../host/operation.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { metadataOf, type GuestFsMetadata } from "./guest-entry.ts";
import { GuestFiles } from "./guest-files.ts";
import { guestPath, pathText, type GuestPath } from "./guest-path.ts";

export interface FsMkdirOptions extends WaitOptions {
  /** Make missing directories above it too, and take one that is there. True by default. */
  readonly parents?: boolean | undefined;
  /** Of the directory that is made; by default 0o755. */
  readonly mode?: number | null | undefined;
}

export interface FsLinkOptions extends WaitOptions {
  /** Of what a symbolic link leads to, as by default, or of the link itself. */
  readonly followSymlinks?: boolean | undefined;
}

/** Times as a Date, or as **milliseconds** since 1970, such as `Date.now()`. (Numbers of Node's own `utimes` are seconds.) */
export interface FsTimes {
  readonly accessed?: Date | number | null | undefined;
  readonly modified?: Date | number | null | undefined;
}

/** What can be done to names and attributes of a sandbox's files; a part of {@link SandboxFs}. */
export class FsPaths {
  /** @internal */
  readonly files: GuestFiles;

  /** @internal */
  constructor(control: SandboxControl) {
    this.files = new GuestFiles(control);
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
        mode: optionalMode(options.mode),
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
    return await this.files.run(
      "look at",
      path,
      options,
      async (call) => {
        const follow = options.followSymlinks ?? true;
        return metadataOf(
          await this.files.ask(call, { type: "FileStat", path: call.path, follow }, "FileMetadata"),
        );
      },
      { followSymlinks: "boolean" },
    );
  }

  /**
   * Whether there is something; a link that leads nowhere is nothing, and so is what has too long a name.
   *
   * @throws what is not about the file
   */
  async exists(path: GuestPath, options: WaitOptions = {}): Promise<boolean> {
    if (isTooLongPath(path)) return false;
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      if (error instanceof SandboxFsError) return false;
      throw error;
    }
  }

  /**
   * Sets the twelve bits of chmod(2), of what a link leads to.
   *
   * @param mode such as `0o755`; a whole `st_mode` of a file or a directory, as `fs.statSync()` gives it, will do
   * @throws SandboxFsError
   */
  async chmod(path: GuestPath, mode: number, options: WaitOptions = {}): Promise<void> {
    const bits = checkMode("the mode", mode);
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
    const given = checkObject("the times", times);
    const { accessed, modified, ...others } = given;
    if (Object.keys(others).length > 0)
      throw new InvalidConfigError(`there is no time ${Object.keys(others).join(", ")}`, {
        hint: "Give accessed, modified, or both.",
      });
    if (!("accessed" in given) && !("modified" in given)) {
      throw new InvalidConfigError("no times are given", {
        hint: "Give accessed, modified, or both: {modified: new Date()}.",
      });
    }
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
  async readLinkBytes(path: GuestPath, options: WaitOptions = {}): Promise<Buffer> {
    return await this.files.run("read link", path, options, async (call) => {
      const answer = await this.files.ask(call, { type: "FileReadLink", path: call.path }, "FilePath");
      return Buffer.from(answer.path);
    });
  }

  /** The path without links, `.` and `..`. @throws SandboxFsError, also when it is no UTF-8: see {@link realPathBytes} */
  async realPath(path: GuestPath, options: WaitOptions = {}): Promise<string> {
    return asText("realpath", await this.realPathBytes(path, options));
  }

  /** The same in bytes. */
  async realPathBytes(path: GuestPath, options: WaitOptions = {}): Promise<Buffer> {
    return await this.files.run("resolve", path, options, async (call) => {
      const answer = await this.files.ask(call, { type: "FileRealPath", path: call.path }, "FilePath");
      return Buffer.from(answer.path);
    });
  }

  /** Asks for something that is answered by its having been done. */
  async #do(
    verb: string,
    path: GuestPath,
    options: WaitOptions,
    request: (path: Buffer) => Message,
    others?: OtherOptions,
  ): Promise<void> {
    await this.files.run(
      verb,
      path,
      options,
      async (call) => {
        await this.files.ask(call, request(call.path), "FileDone");
      },
      others,
    );
  }
}

export function optionalMode(mode: number | null | undefined): number | null {
  return mode === undefined || mode === null ? null : checkMode("the mode", mode);
}

/** -1 means "as it is" to chown(2). */
function checkId(name: string, id: number | null): number | null {
  return id === null ? null : checkWhole(name, id, 0, 0xffff_fffe);
}

function nanoseconds(name: string, time: Date | number | null | undefined): bigint | null {
  if (time === undefined || time === null) return null;
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
