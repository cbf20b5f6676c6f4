import type { Readable } from "node:stream";
import { formatBootMarker, logMaximumBytes, logMaximumFiles } from "../../store/log-format.ts";
import { RotatingFile } from "../../host/files/rotating-file.ts";

const tailBytes = 16 * 1024;

/** Writes the guest's console to `kernel.log` and remembers its end. The guest decides what it says, not how much is kept. */
export class KernelLog {
  readonly #file: RotatingFile;
  #tail = Buffer.alloc(0);

  private constructor(file: RotatingFile) {
    this.#file = file;
  }

  static async open(path: string): Promise<KernelLog> {
    return new KernelLog(
      await RotatingFile.open(path, { maximumBytes: logMaximumBytes, maximumFiles: logMaximumFiles }),
    );
  }

  /** Follows the console of one boot. */
  follow(console: Readable): void {
    this.#tail = Buffer.alloc(0);
    this.#file.append(Buffer.from(formatBootMarker(new Date())));
    console.on("data", (chunk: Buffer) => {
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-tailBytes);
      this.#file.append(chunk);
      if (this.#file.pendingBytes > logMaximumBytes) {
        console.pause();
        void this.#file.flush().then(() => console.resume());
      }
    });
    console.on("error", () => undefined);
  }

  /** The last lines of the console, for an error message. */
  lastLines(count: number): string {
    const lines = this.#tail.toString("utf8").replaceAll("\r", "").trimEnd().split("\n");
    return lines.slice(-count).join("\n");
  }

  /** Calls back when more is in the file. @returns stops that */
  watch(changed: () => void): () => void {
    return this.#file.watch(changed);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
