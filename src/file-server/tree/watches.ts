import { errorCode } from "../../host/system-error.ts";
import { watch, type FSWatcher } from "node:fs";
import type { Node } from "./node.ts";
import type { ServedFiles } from "./served-files.ts";
import type { ToldNames } from "./told-names.ts";

/** Of one mount. The system has a limit for each user, too (inotify(7), max_user_watches). */
const mostWatches = 4096;

/** Who hears of it. */
export interface WatchListener {
  /** Something has happened to this entry, or null: to any. */
  changed(directory: Node, name: string | null): void;
  /** Nothing more is heard of a directory. To be dropped. */
  failed(directory: Node): void;
}

/**
 * Hears of what the host changes in directories that the guest has looked into. In those the guest may believe what it was told
 * for longer, because it is told when that is over.
 */
export class Watches {
  readonly #tree: ServedFiles;
  readonly #names: ToldNames;
  readonly #listener: WatchListener;
  readonly #watchers = new Map<Node, FSWatcher>();
  /** The system gives no more. */
  #isExhausted = false;

  constructor(tree: ServedFiles, names: ToldNames, listener: WatchListener) {
    this.#tree = tree;
    this.#names = names;
    this.#listener = listener;
  }

  /** Watches a directory from now on. @returns whether it is watched */
  watch(directory: Node): boolean {
    if (this.#watchers.has(directory)) return true;
    if (this.#isExhausted || this.#watchers.size >= mostWatches) return false;
    try {
      // What others change there is not heard of.
      if (this.#tree.kindOf(directory) !== "files") return false;
      const path = `/proc/self/fd/${this.#tree.directoryFd(directory)}`;
      const watcher = watch(path, { persistent: false, encoding: "latin1" });
      watcher.on("change", (_, name) =>
        this.#listener.changed(directory, typeof name === "string" ? name : null),
      );
      watcher.on("error", () => this.#listener.failed(directory));
      this.#watchers.set(directory, watcher);
      this.#names.begin(directory);
      return true;
    } catch (error) {
      // Any other is this directory's alone: it has just been removed, or may not be read.
      this.#isExhausted = ["ENOSPC", "EMFILE", "ENFILE"].includes(errorCode(error) ?? "");
      return false;
    }
  }

  /** Those that are watched. */
  directories(): Iterable<Node> {
    return this.#watchers.keys();
  }

  drop(directory: Node): void {
    const watcher = this.#watchers.get(directory);
    if (watcher === undefined) return;
    this.#watchers.delete(directory);
    this.#names.end(directory);
    watcher.close();
  }

  close(): void {
    for (const directory of [...this.#watchers.keys()]) this.drop(directory);
  }
}
