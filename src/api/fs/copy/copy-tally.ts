import type { TreeEvent, VoidFile } from "../../../host/tree/tree.ts";
import type { FsCopyOptions } from "./copy-options.ts";

/** Counts what goes through a copy, and tells of it. */
export class CopyTally {
  readonly #onProgress: FsCopyOptions["onProgress"];
  #entries = 0;
  #bytes = 0;

  constructor(onProgress: FsCopyOptions["onProgress"]) {
    this.#onProgress = onProgress;
  }

  add(events: readonly (TreeEvent | VoidFile)[]): void {
    for (const event of events) {
      if (event.type === "entry") this.#entries++;
      else if (event.type === "data") this.#bytes += event.bytes.length;
    }
    this.tell();
  }

  tell(): void {
    this.#onProgress?.({ entries: this.#entries, bytes: this.#bytes });
  }
}
