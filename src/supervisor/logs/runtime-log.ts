import { logMaximumBytes, logMaximumFiles } from "../../store/log-format.ts";
import { RotatingFile } from "../../host/files/rotating-file.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

const order: readonly LogLevel[] = ["error", "warn", "info", "debug", "trace"];

/** Writes `runtime.log`: what the supervisor did, one line an event: `TIME LEVEL message`. */
export class RuntimeLog {
  readonly #file: RotatingFile;
  readonly #threshold: number;

  private constructor(file: RotatingFile, threshold: number) {
    this.#file = file;
    this.#threshold = threshold;
  }

  /** @param level the least important level that is written; null writes nothing */
  static async open(path: string, level: LogLevel | null): Promise<RuntimeLog> {
    const file = await RotatingFile.open(path, {
      maximumBytes: logMaximumBytes,
      maximumFiles: logMaximumFiles,
    });
    return new RuntimeLog(file, level === null ? -1 : order.indexOf(level));
  }

  write(level: LogLevel, message: string): void {
    if (order.indexOf(level) > this.#threshold) return;
    const line = message.trimEnd().replaceAll("\n", "\n    ");
    this.#file.append(Buffer.from(`${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${line}\n`));
  }

  /** Calls back when more is in the file. @returns stops that */
  watch(changed: () => void): () => void {
    return this.#file.watch(changed);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
