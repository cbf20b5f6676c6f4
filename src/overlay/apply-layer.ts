import type { BigIntStats } from "node:fs";
import { chmod, mkdir, open, rmdir, type FileHandle } from "node:fs/promises";
import { errorCode } from "../host/system-error.ts";
import type { HeldDirectory } from "../host/contained/held-directory.ts";
import { sweepPartial } from "../host/tree/partial-names.ts";
import { deepest } from "../host/tree/tree-path.ts";
import { TreeTally, type TreeResult } from "../host/tree/tree-result.ts";
import { endsAll, messageOf } from "../host/tree/write-entry.ts";
import { markOf, type Base } from "./base.ts";
import { bytesOf, childOf, entryOf } from "./entries.ts";
import type { LayerPaths } from "./layer-paths.ts";
import { gone, lineText, type LayerRecord } from "./layer-records.ts";
import {
  asTheGuestSees,
  isAsKnown,
  namesIn,
  walkLayer,
  type FoundChange,
  type LayerChange,
  type LeftDirectory,
  type WalkedDirectory,
} from "./layer-walk.ts";
import { ChangedMeanwhile, removeKnown, StillWritten, writeFile, writeLink } from "./write-file.ts";

/** What of a layer is to be written to the host. */
export interface Application {
  readonly layer: LayerPaths;
  readonly records: LayerRecord;
  /** Both are held, and closed, by the caller. */
  readonly files: HeldDirectory;
  readonly host: HeldDirectory;
  /** What is chosen is at this path, or in it; by default anywhere. */
  readonly below?: string;
  chooses(change: LayerChange): boolean;
  readonly signal: AbortSignal | undefined;
  /** @param bytes written of a file since the last call */
  progressed(change: LayerChange, bytes: number): void;
}

/** What became of it. */
export interface AppliedResult extends TreeResult {
  readonly deleted: number;
  /** The host has changed them after they were looked at for the first time: they were left as they are. */
  readonly conflicts: readonly string[];
}

/**
 * Writes chosen changes to the host, one after the other, each whole or not at all. What could not be written is told in the result.
 *
 * @throws the system's error for what ends all of it, such as a full disk; what is written by then stays
 */
export async function applyLayer(application: Application): Promise<AppliedResult> {
  const journal = await open(application.layer.journal, "a", 0o600);
  try {
    return await new Applier(application, journal).run();
  } finally {
    await journal.close();
  }
}

class Applier {
  readonly #all: Application;
  readonly #journal: FileHandle;
  readonly #tally = new TreeTally();
  readonly #conflicts: string[] = [];
  /** Of directories that were made or have another mode, which they get when all in them is written. */
  readonly #modes = new Map<string, number>();
  #deleted = 0;
  /** The directory that was written to last. */
  #swept: HeldDirectory | null = null;

  constructor(application: Application, journal: FileHandle) {
    this.#all = application;
    this.#journal = journal;
  }

  async run(): Promise<AppliedResult> {
    const { files, host, records, signal, below = "" } = this.#all;
    for await (const found of walkLayer(files, host, records, { signal, below })) {
      if (found.event === "leave") await this.#leave(found);
      else if (this.#all.chooses(found.change)) await this.#guarded(found);
    }
    return { ...this.#tally.result, deleted: this.#deleted, conflicts: this.#conflicts };
  }

  async #guarded(found: FoundChange): Promise<void> {
    const { path } = found.change;
    try {
      if (found.change.conflicts) throw new ChangedMeanwhile();
      await this.#apply(found);
    } catch (error) {
      if (error instanceof ChangedMeanwhile) this.#conflicts.push(path);
      else if (error instanceof StillWritten) {
        this.#tally.refuse(bytesOf(path), "system", "the guest writes to it all the time");
      } else if (endsAll(error) || errorCode(error) === undefined) throw error;
      else this.#tally.refuse(bytesOf(path), "system", messageOf(error));
    }
  }

  async #apply(found: FoundChange): Promise<void> {
    const { change, name, place, host: theirs, record } = found;
    if (found.isTooDeep) {
      this.#tally.refuse(bytesOf(change.path), "name", `it is deeper than ${deepest} directories`);
      return;
    }
    if (change.type === "other" && change.kind !== "deleted") {
      this.#tally.refuse(bytesOf(change.path), "special", "it is a device, a pipe or a socket");
      return;
    }
    const host = await this.#directoryOf(place);
    if (host === null) {
      this.#tally.refuse(bytesOf(change.path), "order", "what it is in was not chosen, or was refused");
      return;
    }
    if (host !== this.#swept) await sweepPartial(host);
    this.#swept = host;
    const isDeleted = change.kind === "deleted";
    const isDirectory = !isDeleted && change.type === "directory";
    const makeRoom = async (): Promise<void> => {
      if (theirs === null) return;
      await removeAll(host, name, theirs, record);
      // What comes next may fail: it can be tried again then.
      await this.#note(change.path, null, gone);
    };
    if (isDeleted || (isDirectory && theirs?.isDirectory() !== true)) await makeRoom();
    if (isDeleted) {
      this.#deleted++;
      this.#all.progressed(change, 0);
    } else if (isDirectory) await this.#directory(host, found);
    else {
      const stands = theirs?.isDirectory() === true;
      await this.#file(host, found, stands ? makeRoom : async () => undefined);
    }
  }

  async #directory(host: HeldDirectory, { change, name }: FoundChange): Promise<void> {
    const path = host.at(bytesOf(name));
    const there = await entryOf(host, name);
    if (there === null) await makeDirectory(path);
    else if (!there.isDirectory()) throw new ChangedMeanwhile();
    this.#modes.set(change.path, change.mode);
    this.#tally.directories++;
    this.#all.progressed(change, 0);
  }

  async #file(
    host: HeldDirectory,
    { change, name, place, host: theirs, own }: FoundChange,
    makeRoom: () => Promise<void>,
  ): Promise<void> {
    const replaces = theirs?.isDirectory() === true ? null : theirs;
    const file = { layer: place.layer, host, name, mode: change.mode, replaces, makeRoom };
    const progressed = (bytes: number): void => this.#all.progressed(change, bytes);
    if (change.type === "symlink") {
      const base = await writeLink(file);
      if (own !== null) await this.#note(change.path, base, markOf(own));
      this.#tally.symlinks++;
      progressed(0);
    } else {
      const { written, base } = await writeFile(file, this.#all.signal, progressed);
      await this.#note(change.path, base, markOf(written));
      this.#tally.files++;
      this.#tally.bytes += Number(written.size);
    }
  }

  /** Directories on the way that are the guest's, too, are made although they were not chosen. */
  async #directoryOf(place: WalkedDirectory): Promise<HeldDirectory | null> {
    const missing: WalkedDirectory[] = [];
    let last: WalkedDirectory | null = place;
    for (; last !== null && last.host === null; last = last.above) missing.push(last);
    let host = last?.host ?? null;
    for (const each of missing.reverse()) {
      if (host === null || each.above === null) return null;
      const stat = await entryOf(each.above.layer, each.name);
      if (stat === null) return null;
      if ((await entryOf(host, each.name)) === null) {
        await makeDirectory(host.at(bytesOf(each.name)));
        const { mode } = await asTheGuestSees(each.above.layer, each.name, stat);
        this.#modes.set(each.path, mode);
      }
      each.host = host = await childOf(host, each.name);
    }
    return host;
  }

  /** Until it has its mode the directory is a change still. */
  async #leave({ path, host }: LeftDirectory): Promise<void> {
    const mode = this.#modes.get(path);
    this.#modes.delete(path);
    if (mode === undefined || host === null) return;
    try {
      await host.handle.chmod(mode);
    } catch (error) {
      this.#tally.refuse(bytesOf(path), "attributes", `its mode: ${messageOf(error)}`);
      return;
    }
    await this.#note(path, `d:${mode.toString(8)}`, "d");
  }

  async #note(path: string, base: Base | null, mark: string): Promise<void> {
    await this.#journal.write(lineText(["applied", path, base, mark]));
  }
}

/** Nobody else is to look into it before it has its mode. @throws ChangedMeanwhile */
async function makeDirectory(path: Buffer): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    throw errorCode(error) === "EEXIST" ? new ChangedMeanwhile() : error;
  }
}

/** Removes what the host has at a place, as long as each part of it is what the guest knew. @throws ChangedMeanwhile; the system's error */
async function removeAll(
  parent: HeldDirectory,
  name: string,
  known: BigIntStats,
  record: LayerRecord | undefined,
): Promise<void> {
  if (!known.isDirectory()) {
    removeKnown(parent, name, known);
    return;
  }
  const directory = await childOf(parent, name);
  if (directory === null) throw new ChangedMeanwhile();
  try {
    // Its own mode must not keep its owner from emptying it.
    if ((known.mode & 0o700n) !== 0o700n) await chmod(directory.at("."), 0o700);
    for (const inner of await namesIn(directory)) {
      const stat = await entryOf(directory, inner);
      if (stat === null) continue;
      const inside = record?.children?.get(inner);
      if (!stat.isDirectory() && !(await isAsKnown(directory, inner, stat, inside)))
        throw new ChangedMeanwhile();
      await removeAll(directory, inner, stat, inside);
    }
  } finally {
    await directory.close();
  }
  try {
    await rmdir(parent.at(bytesOf(name)));
  } catch (error) {
    throw ["ENOTEMPTY", "ENOTDIR"].includes(errorCode(error) ?? "") ? new ChangedMeanwhile() : error;
  }
}
