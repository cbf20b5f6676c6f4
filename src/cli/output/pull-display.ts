import type { PullProgress } from "../../api/index.ts";
import { bytes } from "./format.ts";
import { print } from "./streams.ts";
import { joined, style, styled, Styled, type Text } from "./style.ts";
import { oneLine } from "./sanitize.ts";
import { cut } from "./table.ts";

/** The terminal that is drawn on, as far as it is used. */
export interface DisplayStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

interface LayerState {
  /** 12 digits, as docker shows layers. */
  name: string;
  state: "waiting" | "downloading" | "downloaded" | "unpacking" | "unpacked";
  done: number;
  total: number | null;
}

const BAR_WIDTH = 24;
/** As often is it drawn anew; reports come faster than eyes are. */
const INTERVAL_MS = 80;

/**
 * What a pull tells of itself: on a terminal a bar for each layer, which disappear when it ends; elsewhere a line for each
 * layer and stage.
 */
export class PullDisplay {
  readonly #stream: DisplayStream;
  readonly #drawn: boolean;
  #layers: LayerState[] = [];
  #title = "";
  #lines = 0;
  #drawnAt = -Infinity;
  #closed = false;

  constructor(stream: DisplayStream) {
    this.#stream = stream;
    this.#drawn = stream.isTTY === true;
  }

  event(event: PullProgress): void {
    if (this.#closed) return;
    const line = this.#apply(event);
    if (!this.#drawn) {
      if (line !== null) print(this.#stream, `${oneLine(line)}\n`);
      return;
    }
    // An image that is here already is over before a line could be read.
    if (this.#layers.length > 0) this.#draw(line !== null);
  }

  /** Takes the bars away; nothing is shown any more. */
  clear(): void {
    if (this.#lines > 0) print(this.#stream, this.#erase());
    this.#lines = 0;
    this.#closed = true;
  }

  /** @returns what a log says of it; null for what only a bar shows */
  #apply(event: PullProgress): string | null {
    switch (event.kind) {
      case "resolving":
        this.#title = `Resolving ${event.reference}`;
        return null;
      case "resolved": {
        if (event.totalDownloadBytes === null) return null;
        this.#layers = Array.from({ length: event.layerCount }, () => ({
          name: "",
          state: "waiting",
          done: 0,
          total: null,
        }));
        this.#title = `Pulling ${event.reference}`;
        const count = event.layerCount === 1 ? "1 layer" : `${String(event.layerCount)} layers`;
        return `${this.#title}: ${count}, ${bytes(event.totalDownloadBytes)} to download`;
      }
      case "layerDownloadProgress":
        this.#set(event.layerIndex, {
          name: shortName(event.digest),
          state: "downloading",
          done: event.downloadedBytes,
          total: event.totalBytes,
        });
        return null;
      case "layerDownloadVerifying":
        return null;
      case "layerDownloadComplete": {
        const name = shortName(event.digest);
        const size = event.downloadedBytes;
        this.#set(event.layerIndex, { name, state: "downloaded", done: size, total: size });
        return `${name}: downloaded, ${bytes(size)}`;
      }
      case "layerMaterializeStarted":
        this.#set(event.layerIndex, { state: "unpacking", done: 0, total: null });
        return null;
      case "layerMaterializeProgress":
        this.#set(event.layerIndex, {
          state: "unpacking",
          done: event.bytesRead,
          total: event.totalBytes,
        });
        return null;
      case "layerMaterializeWriting":
        return null;
      case "layerMaterializeComplete": {
        this.#set(event.layerIndex, { state: "unpacked" });
        const name = this.#layers[event.layerIndex]?.name ?? "";
        return name === "" ? null : `${name}: unpacked`;
      }
      case "stitchMergingTrees":
        return "Making the root file system";
      case "stitchWritingFsmeta":
      case "stitchComplete":
      case "complete":
        return null;
    }
  }

  #set(index: number, change: Partial<LayerState>): void {
    const layer = this.#layers[index];
    if (layer !== undefined) Object.assign(layer, change);
  }

  #draw(atOnce: boolean): void {
    const now = performance.now();
    if (!atOnce && now - this.#drawnAt < INTERVAL_MS) return;
    this.#drawnAt = now;
    const columns = this.#stream.columns ?? 80;
    // What does not fit above the last line of the terminal could not be erased.
    const room = Math.max(1, (this.#stream.rows ?? 24) - 2);
    const shown = this.#layers.slice(0, room);
    const lines: Text[] = shown.map((layer) => this.#layerLine(layer, columns));
    if (shown.length < this.#layers.length) {
      lines[lines.length - 1] = `   … and ${String(this.#layers.length - shown.length + 1)} more`;
    }
    const text = joined([cut(this.#title, columns - 1), ...lines], "\n");
    print(this.#stream, styled`${this.#erase()}${text}\n`);
    this.#lines = lines.length + 1;
  }

  #layerLine(layer: LayerState, columns: number): Text {
    const { name, state, done, total } = layer;
    const full = state === "downloaded" || state === "unpacked";
    const share = full ? 1 : total === null || total === 0 ? 0 : Math.min(1, done / total);
    const filled = Math.round(share * BAR_WIDTH);
    const amount = total === null ? "" : ` ${bytes(full ? total : done)} / ${bytes(total)}`;
    const before = `   ${name.padEnd(12)} `;
    const after = ` ${state}${state === "waiting" ? "" : amount}`;
    if (before.length + BAR_WIDTH + after.length >= columns) return cut(before + after, columns - 1);
    const filledBar = style("cyan", "━".repeat(filled), this.#stream);
    const rest = style("dim", "─".repeat(BAR_WIDTH - filled), this.#stream);
    return styled`${before}${filledBar}${rest}${after}`;
  }

  /** Back to the first line, everything below it gone (ECMA-48: CPL, ED). */
  #erase(): Styled {
    return new Styled(this.#lines === 0 ? "" : `\x1b[${String(this.#lines)}F\x1b[J`);
  }
}

function shortName(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1, digest.indexOf(":") + 13);
}
