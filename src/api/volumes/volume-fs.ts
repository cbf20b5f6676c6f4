import type { BigIntStats } from "node:fs";
import { mkdir, readdir, rename, unlink } from "node:fs/promises";
import { IoError, SandboxFsError } from "../../errors/index.ts";
import {
  statusOf,
  unlessThere,
  type LocateOptions,
  type Place,
} from "../../host/contained/contained-directory.ts";
import { HeldDirectory } from "../../host/contained/held-directory.ts";
import { removeTree } from "../../host/contained/remove-tree.ts";
import { checkCallOptions } from "../../host/call-options.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import { partialPrefix, sweepPartial } from "../../host/tree/partial-names.ts";
import { bytesOf, decodeText, type FsData } from "../fs/contents.ts";
import type { FsEntry, FsEntryKind, FsMetadata } from "../fs/fs-types.ts";
import { isTextPath, joinPath, pathText } from "../fs/guest-path.ts";
import { copyTree } from "./copy-tree.ts";
import { atPlace, volumeError } from "./volume-place.ts";
import { VolumeFsReadStream, VolumeFsWriteSink } from "./volume-streams.ts";
import { AsideFile, openToRead, systemError, writeWhole } from "./volume-write.ts";

/** What is looked for, and its name alone, though it be a link; and where something is to be. */
const itself = { follow: false } as const;
const making = { makeParents: true } as const;

/** One name in a directory of a volume; what a symbolic link leads to is not looked at. */
export interface VolumeFsEntry extends FsEntry {
  /** The path as it is: in `path`, bytes that are no UTF-8 are U+FFFD, and that text does not lead to the file. */
  readonly pathBytes: Buffer;
  /** Whether `path` says all of it. */
  readonly isUtf8: boolean;
}

/**
 * The files of a volume, from the host: no sandbox is needed. Paths are below the volume's root, with or without a leading `/`. Neither
 * `..` nor a link leads out of it, whatever a guest that has the volume does meanwhile: that is a `SandboxFsError`. What the system
 * reports is an `IoError`.
 *
 * Of a volume that is a disk these are the files of the directory on the host that holds it, not those in the disk.
 *
 * @example
 * ```ts
 * import { Volume } from "microsandbox";
 *
 * const volume = await Volume.builder("fs-example").create();
 * await volume.fs().write("notes/today.txt", "hello");
 * console.log(await volume.fs().readToString("notes/today.txt"));
 * await Volume.remove("fs-example");
 * ```
 */
export class VolumeFs {
  readonly #root: string;

  /** @internal */
  constructor(root: string) {
    this.#root = root;
  }

  /** A whole file. @throws IoError, SandboxFsError */
  async read(path: string, options: WaitOptions = {}): Promise<Buffer> {
    return await this.#at(path, "read", options, async (place, { signal }) => {
      await using file = await openToRead(place);
      return await file.readFile({ signal });
    });
  }

  /** A whole file as text. @throws SandboxFsError when it is no UTF-8; OutputTooLongError when it is longer than a string can be; as {@link read} */
  async readToString(path: string, options: WaitOptions = {}): Promise<string> {
    const bytes = await this.read(path, options);
    return decodeText(bytes, path);
  }

  /** The older name of {@link readToString}. */
  async readString(path: string, options: WaitOptions = {}): Promise<string> {
    return await this.readToString(path, options);
  }

  /**
   * Writes a whole file; text as UTF-8. Whoever reads meanwhile sees the old content or the new one. Directories on the way are made;
   * a new file has the mode 0644, an old one keeps owner and mode.
   *
   * @throws IoError, SandboxFsError, InvalidConfigError, the signal's reason; nothing has changed then
   */
  async write(path: string, data: FsData, options: WaitOptions = {}): Promise<void> {
    const bytes = bytesOf(data);
    mustNameFile(path, "write");
    await this.#at(path, "write", options, (place, { signal }) => writeWhole(place, bytes, signal), making);
  }

  /** @throws IoError, SandboxFsError */
  async readStream(path: string, options: WaitOptions = {}): Promise<VolumeFsReadStream> {
    return await this.#at(
      path,
      "read",
      options,
      async (place) => new VolumeFsReadStream(path, await openToRead(place)),
    );
  }

  /** As {@link write}, a chunk at a time: the file takes its place when the stream is closed. @throws IoError, SandboxFsError */
  async writeStream(path: string, options: WaitOptions = {}): Promise<VolumeFsWriteSink> {
    mustNameFile(path, "write");
    return await this.#at(
      path,
      "write",
      options,
      async (place) => new VolumeFsWriteSink(path, await AsideFile.open(place)),
      making,
    );
  }

  /** The names in a directory, in no order; `path` begins with a `/`, which is the volume's root. @throws IoError, SandboxFsError */
  async list(path: string, options: WaitOptions = {}): Promise<VolumeFsEntry[]> {
    return await this.#at(path, "list", options, async (place) => {
      await using directory = await HeldDirectory.openItself(place.path);
      const listed = Buffer.from(`/${partsOf(path, place).join("/")}`);
      const entries = await Promise.all(
        (await namesIn(directory)).map(async (name) => {
          const status = await statusOf(directory.at(name));
          // It has been removed since.
          if (status === null) return null;
          const { kind, size, mode, modified } = metadataOf(status);
          const pathBytes = joinPath(listed, name);
          const isUtf8 = isTextPath(pathBytes);
          return { path: pathText(pathBytes), pathBytes, isUtf8, kind, size, mode, modified };
        }),
      );
      return entries.filter((entry) => entry !== null);
    });
  }

  /** Makes a directory and those above it; one that is there is left as it is. @throws IoError, SandboxFsError */
  async mkdir(path: string, options: WaitOptions = {}): Promise<void> {
    await this.#at(
      path,
      "make",
      options,
      async ({ name, path: at }) => {
        if (name !== ".") await mkdir(at, 0o755).catch(unlessThere);
        await (await HeldDirectory.openItself(at)).close();
      },
      making,
    );
  }

  /** Removes a directory and all that is in it, but not the root. @throws IoError, SandboxFsError for the root */
  async removeDir(path: string, options: WaitOptions = {}): Promise<void> {
    const remove = async (place: Place, { signal }: Operation): Promise<void> => {
      if (place.name === ".") {
        throw new SandboxFsError(
          "the root of a volume is not removed like a directory in it",
          { operation: "remove", path, errno: null, errnoName: null },
          { hint: "Remove the volume: Volume.remove(name)." },
        );
      }
      await removeTree(place, signal);
    };
    await this.#at(path, "remove", options, remove, itself);
  }

  /** Removes a file or a link. @throws IoError, for a directory too; SandboxFsError */
  async remove(path: string, options: WaitOptions = {}): Promise<void> {
    const remove = async ({ name, path: at }: Place): Promise<void> => {
      const isDirectory = name === "." || (await statusOf(at))?.isDirectory() === true;
      if (isDirectory) throw systemError("EISDIR", "it is a directory: use removeDir()");
      await unlink(at);
    };
    await this.#at(path, "remove", options, remove, itself);
  }

  /**
   * Copies a file, or a directory with all that is in it, over what is there. Links in a directory are copied as they are.
   *
   * @throws IoError, SandboxFsError
   */
  async copy(from: string, to: string, options: WaitOptions = {}): Promise<void> {
    await this.#at(from, "copy", options, async (source, { signal }) => {
      await mustFit(source, to);
      await this.#at(to, "copy to", { signal }, (target) => copyTree(source, target, signal), making);
    });
  }

  /** Gives something another name, and takes the place of a file that has it; as rename(2). @throws IoError, SandboxFsError */
  async rename(from: string, to: string, options: WaitOptions = {}): Promise<void> {
    const renameFrom = async (source: Place, { signal }: Operation): Promise<void> => {
      await mustFit(source, to);
      const renameTo = (target: Place): Promise<void> => rename(source.path, target.path);
      await this.#at(to, "rename to", { signal }, renameTo, { ...itself, ...making });
    };
    await this.#at(from, "rename", options, renameFrom, itself);
  }

  /** Of a link itself, not of what it leads to. @throws IoError when there is nothing; SandboxFsError */
  async stat(path: string, options: WaitOptions = {}): Promise<FsMetadata> {
    const look = async (place: Place): Promise<FsMetadata> => metadataOf(await mustBeThere(place));
    return await this.#at(path, "look at", options, look, itself);
  }

  /** Whether {@link stat} finds something. @throws SandboxFsError when the path leads out of the volume */
  async exists(path: string, options: WaitOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      if (error instanceof IoError) return false;
      throw error;
    }
  }

  /**
   * Does something with what the path leads to.
   *
   * @param how by default links are followed, and the directories on the way must be there
   * @throws InvalidConfigError for options that are none
   */
  #at<T>(
    path: string,
    action: string,
    options: WaitOptions,
    work: (place: Place, operation: Operation) => Promise<T>,
    { follow = true, makeParents = false }: Partial<LocateOptions> = {},
  ): Promise<T> {
    checkCallOptions(`${action} in the volume`, options);
    return atPlace(this.#root, path, action, { ...options, follow, makeParents }, work);
  }
}

/** Asked before directories are made for it. @throws ENOENT */
async function mustBeThere({ path }: Pick<Place, "path">): Promise<BigIntStats> {
  const status = await statusOf(path);
  if (status === null) throw systemError("ENOENT", "no such file or directory");
  return status;
}

/** Without what a write has left that was killed: it goes. */
async function namesIn(directory: HeldDirectory): Promise<Buffer[]> {
  const read = (): Promise<Buffer[]> => readdir(directory.at(), { encoding: "buffer" });
  const names = await read();
  if (!names.some((name) => name.toString("latin1").startsWith(partialPrefix))) return names;
  await sweepPartial(directory);
  return await read();
}

/** As it was asked for, unless there is a `..` in it: where that leads depends on the links before it. */
function partsOf(path: string, { within, name }: Place): readonly string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (!parts.includes("..")) return parts;
  return name === "." ? within : [...within, name];
}

/** What is a directory's path is no file's. @throws IoError */
function mustNameFile(path: string, action: string): void {
  if (!namesDirectory(path)) return;
  throw volumeError(
    `${action} ${JSON.stringify(path)} in the volume`,
    systemError("EISDIR", "the / at its end says that it is a directory"),
  );
}

function namesDirectory(path: unknown): boolean {
  return typeof path === "string" && /\/\.?$/.test(path);
}

async function mustFit(source: Place, to: string): Promise<void> {
  const status = await mustBeThere(source);
  if (namesDirectory(to) && !status.isDirectory())
    throw systemError("ENOTDIR", "what is to be there is no directory, and the / at its end says so");
}

function metadataOf(status: BigIntStats): FsMetadata {
  const mode = Number(status.mode) & 0o7777;
  return {
    kind: kindOf(status),
    size: Number(status.size),
    mode,
    readonly: (mode & 0o200) === 0,
    modified: new Date(Number(status.mtimeMs)),
    created: status.birthtimeMs > 0n ? new Date(Number(status.birthtimeMs)) : null,
  };
}

function kindOf(status: BigIntStats): FsEntryKind {
  if (status.isFile()) return "file";
  if (status.isDirectory()) return "directory";
  return status.isSymbolicLink() ? "symlink" : "other";
}
