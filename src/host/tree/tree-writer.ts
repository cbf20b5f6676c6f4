import { rename, unlink } from "node:fs/promises";
import { InvalidConfigError, IoError } from "../../errors/index.ts";
import { errorCode, ioError } from "../system-error.ts";
import { HeldDirectory } from "../contained/held-directory.ts";
import { IncomingFile } from "./incoming-file.ts";
import { makeOrOpen, WrittenDirectory } from "./written-directory.ts";
import { shownPath, type TreeContent, type TreeEntry, type TreeEvent, type VoidFile } from "./tree.ts";
import { sweepPartial } from "./partial-names.ts";
import { isBelow, isName, nameOf, parentOf, pathFault, samePath } from "./tree-path.ts";
import { TreeTally, type TreeResult } from "./tree-result.ts";
import { Twins } from "./twins.ts";
import { WorkInFlight } from "./work-in-flight.ts";
import {
  AttributesError,
  endsAll,
  linkAside,
  messageOf,
  setAttributes,
  type WriteStyle,
} from "./write-entry.ts";

export interface TreeWriterOptions {
  /**
   * What the tree's root becomes in the directory: one name, not a path. When not given, the root must be a directory: what is in it
   * goes into the directory, whose own mode and times stay as they are.
   */
  readonly name?: string | Uint8Array | undefined;
  /** Give entries the owners that they have in the tree, which only root can. Otherwise they belong to the caller. */
  readonly owners?: boolean | undefined;
}

/** So many files are written at a time, and so many directories get their attributes. */
const filesAtOnce = 8;
const directoriesAtOnce = 16;
/** What a file or link meets where a directory stands, and the reverse. */
const occupiedCodes: ReadonlySet<string> = new Set(["EISDIR", "ENOTDIR", "ENOTEMPTY", "EEXIST"]);

/**
 * Writes a tree that comes from somebody who is not trusted into a directory of the host. Whatever names, links, kinds and orders
 * come, and whatever somebody who can write in that directory does meanwhile, nothing is written outside it: it holds every
 * directory on the way by its descriptor (see {@link HeldDirectory}), goes down one name at a time, and follows no link, neither
 * one that the tree has brought nor one that was there.
 *
 * - A file or link is written aside, as `.msb-partial-…`, and renamed when it is whole: under its own name there is the old one or the
 *   new one. What it replaces may be a file or a link, which is not followed, but no directory. What a killed process has left aside in
 *   a directory goes when another tree is written into it.
 * - A directory that is made gets its mode and time last. One that is there is kept as it is, with what is in it.
 * - Devices, pipes and sockets are not made. setuid, setgid and sticky bits are dropped.
 * - Holes stay holes. Times are kept to the microsecond.
 * - Whatever is not written is in the result, by name. A full disk and the like end all: then {@link abort} is to be called.
 *
 * @example
 * ```ts
 * await using writer = await TreeWriter.open("/tmp/results");
 * for await (const events of readTree("/etc/ssl")) await writer.write(events);
 * const { files, refused } = await writer.finish();
 * ```
 */
export class TreeWriter implements AsyncDisposable {
  readonly #place: string;
  readonly #name: Uint8Array | null;
  readonly #style: WriteStyle;
  readonly #tally = new TreeTally();
  readonly #files = new WorkInFlight(filesAtOnce);
  readonly #directories = new WorkInFlight(directoriesAtOnce);
  /** The way to what is being written. The first one is where the tree goes. */
  readonly #way: WrittenDirectory[];
  /** The file whose content comes now, where it goes, and how much is still to come. A file that is refused is null. */
  #file: {
    readonly parent: WrittenDirectory;
    readonly file: IncomingFile;
    readonly name: Uint8Array;
  } | null = null;
  #left = 0;
  #ended = false;

  private constructor(place: string, directory: HeldDirectory, options: TreeWriterOptions) {
    const { name, owners = false } = options;
    this.#place = place;
    this.#name = name === undefined ? null : Buffer.from(name);
    this.#style = { owners };
    this.#way = [new WrittenDirectory(directory, Buffer.alloc(0), null, new Twins(undefined))];
  }

  /**
   * @param directory where the tree goes; must exist. Links on the way there are followed.
   * @throws InvalidConfigError when the name is none; IoError when there is no such directory
   */
  static async open(directory: string, options: TreeWriterOptions = {}): Promise<TreeWriter> {
    let held: HeldDirectory;
    try {
      held = await HeldDirectory.open(directory);
    } catch (error) {
      throw ioError(`write to ${directory}`, error, "userFile");
    }
    return await this.into(held, directory, options);
  }

  /** The same for a directory that is open, and is closed with the writer. @param shown its path, for messages */
  static async into(
    directory: HeldDirectory,
    shown: string,
    options: TreeWriterOptions = {},
  ): Promise<TreeWriter> {
    const { name } = options;
    if (name !== undefined && !isName(Buffer.from(name))) {
      await directory.close();
      throw new InvalidConfigError(`${JSON.stringify(name.toString())} is not the name of a file`);
    }
    await sweepPartial(directory);
    return new this(shown, directory, options);
  }

  /**
   * Writes what comes next. One call at a time; the contents are the caller's again when it resolves, the entries are not.
   *
   * @throws IoError when nothing more can be written, or what comes is no tree
   */
  async write(events: readonly (TreeEvent | VoidFile)[]): Promise<void> {
    if (this.#ended) throw new IoError("the tree is finished already");
    for (const event of events) {
      if (event.type === "entry") await this.#entry(event.entry);
      else if (event.type === "void") await this.#void();
      else await this.#content(event);
    }
  }

  /**
   * Waits until all is written.
   *
   * @returns what is there now, and what is not
   * @throws IoError when something could not be written, or the tree ended within a file
   */
  async finish(): Promise<TreeResult> {
    if (this.#left > 0) throw damaged("it ends within a file");
    await this.#leaveUntil(() => false);
    await this.#files.settled();
    await this.#directories.settled();
    this.#ended = true;
    this.#files.throwIfFailed();
    this.#directories.throwIfFailed();
    return this.#tally.result;
  }

  /** Ends early. What is whole stays; nothing else does. Does nothing when all is finished. */
  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#file?.file.discard();
    await this.#files.settled();
    for (const directory of this.#way.splice(0).reverse()) {
      await this.#finishDirectory(directory).catch(() => undefined);
    }
    await this.#directories.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  async #entry(entry: TreeEntry): Promise<void> {
    if (this.#left > 0) throw damaged("a file is shorter than it was said to be");
    this.#left = entry.kind === "file" ? entry.size : 0;
    this.#file = null;
    if (!Number.isSafeInteger(entry.size) || entry.size < 0) throw damaged("a file has no size");
    const place = await this.#placeOf(entry);
    if (place === null) return;
    const { parent, name } = place;
    if (entry.kind === "directory") {
      await this.#guard(entry, () => this.#enter(parent, name, entry));
    } else if (entry.kind === "symlink") {
      await this.#inBackground(parent, entry, async () => {
        const aside = await linkAside(parent.directory, entry, this.#style);
        if (await this.#putInPlace(parent, aside, entry, name)) this.#tally.symlinks++;
      });
    } else {
      this.#file = { parent, file: new IncomingFile(parent.directory, entry), name };
      if (this.#left === 0) await this.#completeFile();
    }
  }

  /** Goes to the directory of an entry. @returns null when the entry is refused */
  async #placeOf(entry: TreeEntry): Promise<{ parent: WrittenDirectory; name: Uint8Array } | null> {
    const { path, kind } = entry;
    const fault = pathFault(path);
    const [bottom] = this.#way;
    if (fault !== null || bottom === undefined) return this.#refuse(entry, "name", fault ?? "");
    const isRoot = path.length === 0;
    const named = this.#name;
    if (isRoot && named === null) {
      return kind === "directory" ? null : this.#refuse(entry, "occupied", "a directory stands there");
    }
    await this.#leaveUntil((directory) => directory === bottom || (!isRoot && isBelow(path, directory.path)));
    const parent = this.#way.at(-1) ?? bottom;
    const isThere =
      isRoot || (samePath(parent.path, parentOf(path)) && (named === null || parent !== bottom));
    if (!isThere) return this.#refuse(entry, "order", "its directory was not written");
    if (kind === "other") return this.#refuse(entry, "special", "it is a device, a pipe or a socket");
    return { parent, name: isRoot && named !== null ? named : nameOf(path) };
  }

  async #enter(parent: WrittenDirectory, name: Uint8Array, entry: TreeEntry): Promise<void> {
    const { directory, twins } = parent;
    if (await twins.has(directory, name)) {
      this.#refuseTwin(entry);
      return;
    }
    const opened = await makeOrOpen(directory, name);
    if (opened === null) {
      this.#refuse(entry, "occupied", "something else than a directory stands there");
      return;
    }
    if (!opened.made) await sweepPartial(opened.directory);
    await twins.probe(directory, Buffer.from(name));
    await twins.add(directory, name);
    const inside = opened.made ? twins.ofChild : new Twins(undefined);
    this.#way.push(new WrittenDirectory(opened.directory, entry.path, opened.made ? entry : null, inside));
    this.#tally.directories++;
  }

  async #content(event: TreeContent): Promise<void> {
    const length = event.type === "data" ? event.bytes.length : event.length;
    if (!Number.isSafeInteger(length) || length < 0 || length > this.#left) {
      throw damaged("there is more content than a file was said to have");
    }
    this.#left -= length;
    if (this.#file === null) return;
    const { file } = this.#file;
    try {
      await file.add(event);
    } catch (error) {
      this.#file = null;
      await file.discard();
      this.#judge(file.entry, error);
      return;
    }
    if (this.#left === 0) await this.#completeFile();
  }

  /** Leaves what stands under the file's name as it is. Whoever sends the tree says why. */
  async #void(): Promise<void> {
    if (this.#left === 0) throw damaged("it voids a file that is whole");
    this.#left = 0;
    await this.#file?.file.discard();
    this.#file = null;
  }

  async #completeFile(): Promise<void> {
    if (this.#file === null) return;
    const { parent, file, name } = this.#file;
    const { entry } = file;
    this.#file = null;
    const write = async (): Promise<void> => {
      const { path, lacking } = await file.complete(this.#style);
      if (!(await this.#putInPlace(parent, path, entry, name))) return;
      this.#tally.files++;
      this.#tally.bytes += entry.size;
      if (lacking !== null) throw lacking;
    };
    const discard = async (error: unknown): Promise<never> => {
      await file.discard();
      throw error;
    };
    await this.#inBackground(parent, entry, () => write().catch(discard)).catch(discard);
  }

  /** Gives what lies aside its name. @returns whether it has it now. @throws the system's error; it is removed then */
  async #putInPlace(
    parent: WrittenDirectory,
    aside: Buffer,
    entry: TreeEntry,
    name: Uint8Array,
  ): Promise<boolean> {
    const { directory, twins } = parent;
    try {
      await twins.probe(directory, Buffer.from(nameOf(aside)));
      if (await twins.has(directory, name)) {
        this.#refuseTwin(entry);
        await unlink(aside);
        return false;
      }
      await rename(aside, directory.at(name));
    } catch (error) {
      await unlink(aside).catch(() => undefined);
      throw error;
    }
    await twins.add(directory, name);
    return true;
  }

  /** Does it while others go on, where they cannot get in each other's way. */
  async #inBackground(parent: WrittenDirectory, entry: TreeEntry, work: () => Promise<void>): Promise<void> {
    if (!parent.twins.areRuledOut) {
      await this.#guard(entry, work);
      return;
    }
    await this.#files.room();
    parent.hold();
    this.#files.start(async () => {
      try {
        await this.#guard(entry, work);
      } finally {
        parent.release();
      }
    });
  }

  /** Leaves directories until one is to be stayed in. */
  async #leaveUntil(stay: (directory: WrittenDirectory) => boolean): Promise<void> {
    for (let last = this.#way.at(-1); last !== undefined && !stay(last); last = this.#way.at(-1)) {
      const left = last;
      await this.#directories.room();
      this.#way.pop();
      this.#directories.start(() => this.#finishDirectory(left));
    }
  }

  async #finishDirectory(left: WrittenDirectory): Promise<void> {
    const { directory, entry } = left;
    await left.idle();
    try {
      if (entry !== null) {
        await this.#guard(entry, () => setAttributes(directory.handle, entry, this.#style));
      }
    } finally {
      await directory.close();
    }
  }

  #refuse(entry: TreeEntry, reason: Parameters<TreeTally["refuse"]>[1], message: string): null {
    this.#tally.refuse(entry.path, reason, message);
    return null;
  }

  #refuseTwin(entry: TreeEntry): void {
    this.#refuse(entry, "twin", "the file system does not tell its name from that of another entry");
  }

  async #guard(entry: TreeEntry, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#judge(entry, error);
    }
  }

  /** Whether an error is this entry's alone. @throws IoError when it is not */
  #judge(entry: TreeEntry, error: unknown): void {
    if (error instanceof AttributesError) {
      this.#refuse(entry, "attributes", error.message);
    } else if (endsAll(error) || errorCode(error) === undefined) {
      throw ioError(`write ${this.#place}/${shownPath(entry.path)}`, error, "userFile");
    } else {
      const isOccupied = occupiedCodes.has(errorCode(error) ?? "");
      this.#refuse(entry, isOccupied ? "occupied" : "system", messageOf(error));
    }
  }
}

function damaged(what: string): IoError {
  return new IoError(`what came is no tree of files: ${what}`, {
    hint: "Whoever sent it does not keep to the form.",
  });
}
