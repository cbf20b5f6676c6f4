import { invalidEntry, invalidNode } from "./fuse/notifications.ts";
import { errno } from "./fuse/numbers.ts";
import { errnoOf } from "./fuse/refusal.ts";
import type { Node } from "./tree/node.ts";
import type { ServedFiles } from "./tree/served-files.ts";
import type { ToldNames } from "./tree/told-names.ts";

/** Names that are looked at before the guest gets another turn; each takes some 10 µs. */
const namesAtOnce = 200;
/** When it is tried again to look at what could not be looked at, ms: later and later. */
const [soonestMs, latestMs] = [1_000, 60_000];

export interface HostChangesOptions {
  readonly mount: number;
  readonly tree: ServedFiles;
  readonly names: ToldNames;
  /** Directories in which the guest believes what it was told. */
  readonly watched: () => Iterable<Node>;
  /** Sends what nobody asked for. @returns false when the guest takes no more */
  readonly notify: (message: Buffer) => boolean;
}

/** Tells the guest's kernel what is no longer so of what it was told. Most of what is heard of is its own doing, of which it knows. */
export class HostChanges {
  readonly #options: HostChangesOptions;
  /** The guest could not be told of something. */
  #isUntold = false;
  /** What is left to be looked at, of everything. */
  #rest: Iterator<undefined> | null = null;
  /** Something was missed since that was begun. */
  #isMissedAgain = false;
  /** Runs as long as something could not be looked at. */
  #again: NodeJS.Timeout | null = null;
  #againMs = soonestMs;

  constructor(options: HostChangesOptions) {
    this.#options = options;
  }

  /** Something has happened to an entry, or null: to any. */
  changed(directory: Node, name: string | null): void {
    try {
      if (name === null) for (const each of this.#toldIn(directory)) this.#entryChanged(directory, each);
      else this.#entryChanged(directory, name);
      this.#directoryChanged(directory);
    } catch (error) {
      // Of a directory that is gone, whoever holds its own name hears.
      this.#unseen(error);
    }
  }

  /** It is not known what has happened: everything that the guest believes is looked at, a little at a time. */
  checkAll(): void {
    this.#isMissedAgain = this.#rest !== null;
    if (this.#rest !== null) return;
    this.#rest = this.#everything();
    this.#goOn();
  }

  /** The guest takes messages again. */
  tellUntold(): void {
    if (!this.#isUntold) return;
    this.#isUntold = false;
    this.checkAll();
  }

  close(): void {
    this.#rest = null;
    this.#isUntold = false;
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = null;
  }

  /** What cannot be looked at now (the process has no more descriptors, the disk fails) is not believed for ever: all is looked at again. */
  #unseen(error: unknown): void {
    if (isGone(error)) return;
    this.#again ??= setTimeout(() => {
      this.#again = null;
      this.#againMs = Math.min(this.#againMs * 2, latestMs);
      this.checkAll();
    }, this.#againMs).unref();
  }

  #goOn(): void {
    if (this.#rest === null) return;
    for (let each = 0; each < namesAtOnce; each++) {
      // When it takes messages again, all is begun anew.
      const isOver = this.#isUntold || this.#rest.next().done === true;
      if (!isOver) continue;
      this.#rest = null;
      if (this.#again === null) this.#againMs = soonestMs;
      if (this.#isMissedAgain && !this.#isUntold) this.checkAll();
      return;
    }
    setImmediate(() => this.#goOn());
  }

  *#everything(): Generator<undefined> {
    for (const directory of [...this.#options.watched()]) {
      for (const name of this.#toldIn(directory)) {
        try {
          this.#entryChanged(directory, name);
        } catch (error) {
          this.#unseen(error);
        }
        yield;
      }
      try {
        this.#directoryChanged(directory);
      } catch (error) {
        this.#unseen(error);
      }
      yield;
    }
  }

  #toldIn(directory: Node): string[] {
    return [...(directory.told?.keys() ?? [])];
  }

  #directoryChanged(directory: Node): void {
    const { mount, tree } = this.#options;
    tree.changedOnHost(directory);
    const stat = tree.stat(directory);
    if (stat.mtimeNs !== directory.toldMtimeNs) this.#notify(invalidNode(mount, directory.id, false));
  }

  #entryChanged(directory: Node, name: string): void {
    const { mount, tree, names } = this.#options;
    const believed = directory.told?.get(name);
    if (believed === undefined) return;
    const stat = tree.statEntry(directory, name);
    const node = stat === undefined ? undefined : tree.nodes.known(stat);
    if (believed !== (stat === undefined ? 0 : (node?.id ?? -1))) {
      if (!this.#notify(invalidEntry(mount, directory.id, name))) return;
      names.remove(directory, name);
    }
    if (node === undefined || stat === undefined || stat.ctimeNs === node.toldCtimeNs) return;
    // What the guest has written itself it has in its memory already, and looks at the file's time before it believes that.
    const isHosts = stat.mtimeNs !== node.toldMtimeNs && node.open.size === 0;
    this.#notify(invalidNode(mount, node.id, isHosts));
  }

  #notify(message: Buffer): boolean {
    const isTold = this.#options.notify(message);
    this.#isUntold ||= !isTold;
    return isTold;
  }
}

/** The directory is not there any more. */
function isGone(error: unknown): boolean {
  const number = errnoOf(error);
  return number === errno.noent || number === errno.stale || number === errno.notdir;
}
