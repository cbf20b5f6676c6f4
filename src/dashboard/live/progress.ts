import type { PullProgress, StartProgressEvent } from "../../api/index.ts";
import type { Progress } from "../wire.ts";
import type { Feed } from "./feed.ts";

/** Who is told of a call that goes on, by the id that its page has chosen. */
const listeners = new Map<string, (progress: Progress) => void>();

/** Tells how a call goes on, until the page wants to know no more. What comes faster than the page takes it is left out. */
export const watchProgress: Feed<"progress"> = async ({ id }, tell, signal) => {
  let next: Progress | null = null;
  let isTelling = false;
  const listener = (progress: Progress): void => {
    next = progress;
    if (!isTelling) void tellAll();
  };
  const tellAll = async (): Promise<void> => {
    isTelling = true;
    for (let news = take(); news !== null; news = take()) await tell(news);
    isTelling = false;
  };
  const take = (): Progress | null => {
    const news = next;
    next = null;
    return news;
  };
  listeners.set(id, listener);
  try {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    if (listeners.get(id) === listener) listeners.delete(id);
  }
};

/** Puts into words how a sandbox comes to be: its image is pulled, if it is not there, and its machine is started. */
export class CreationProgress {
  readonly #id: string;
  #layers = 0;
  #totalBytes: number | null = null;
  readonly #bytes = new Map<number, number>();
  #unpacked = 0;

  constructor(id: string) {
    this.#id = id;
  }

  started({ stage }: StartProgressEvent): void {
    this.#tell({ text: stages[stage] ?? stage, done: null, total: null, unit: null });
  }

  pulled(event: PullProgress): void {
    switch (event.kind) {
      case "resolving":
        this.#tell({ text: `Looking for ${event.reference}`, done: null, total: null, unit: null });
        break;
      case "resolved":
        this.#layers = event.layerCount;
        this.#totalBytes = event.totalDownloadBytes;
        // What is here already is not downloaded.
        if (event.totalDownloadBytes !== null) this.#tellDownload();
        break;
      case "layerDownloadProgress":
      case "layerDownloadComplete":
        this.#bytes.set(event.layerIndex, event.downloadedBytes);
        this.#tellDownload();
        break;
      case "layerMaterializeComplete":
        this.#unpacked++;
        this.#tell({ text: "Unpacking", done: this.#unpacked, total: this.#layers, unit: "layers" });
        break;
      case "stitchMergingTrees":
        this.#tell({ text: "Making its root file system", done: null, total: null, unit: null });
        break;
      default:
        break;
    }
  }

  #tellDownload(): void {
    const done = [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    this.#tell({ text: "Downloading", done, total: this.#totalBytes, unit: "bytes" });
  }

  #tell(progress: Progress): void {
    listeners.get(this.#id)?.(progress);
  }
}

const stages: Readonly<Record<string, string>> = {
  prepare: "Preparing its machine",
  boot: "Booting its kernel",
  guest: "Mounting its root file system",
  restore: "Starting it from its template",
};
