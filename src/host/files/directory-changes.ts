import { watch, type FSWatcher } from "node:fs";

/**
 * Tells when something in some directories changes. A change between two waits is not lost. A timer stands in for what no
 * event tells of: a process that was killed, a system that has no watches left.
 */
export class DirectoryChanges implements Disposable {
  readonly #watchers: FSWatcher[] = [];
  readonly #recheckMs: number;
  #changed = false;
  #wake: (() => void) | null = null;

  constructor(directories: readonly string[], recheckMs: number) {
    this.#recheckMs = recheckMs;
    const notice = (): void => {
      this.#changed = true;
      this.#wake?.();
    };
    for (const directory of directories) {
      try {
        // A wait keeps the process alive by its timer; watchers alone do not.
        const watcher = watch(directory, { persistent: false }, notice);
        watcher.on("error", () => {
          watcher.close();
        });
        this.#watchers.push(watcher);
      } catch {
        // The timer is enough.
      }
    }
  }

  /** Resolves at the next change, at once when there was one since the last call, or after `recheckMs`. */
  async next(): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#recheckMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    this.#changed = false;
  }

  /** Ends the wait that is going on. */
  wake(): void {
    this.#changed = true;
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) watcher.close();
    this.wake();
  }
}
