import { InvalidConfigError } from "../../errors/index.ts";
import type { ExecEvent } from "./exec-event.ts";

/** Bytes that are kept of each of a command's outputs when it was not said how many: 100 MiB. */
export const defaultMaxOutputBytes = 100 * 1024 * 1024;

/** @throws InvalidConfigError for what is no number of bytes; Infinity is one */
export function checkMaxOutput(bytes: number): number {
  if (bytes === Infinity || (Number.isSafeInteger(bytes) && bytes >= 0)) return bytes;
  throw new InvalidConfigError(`the most output, ${String(bytes)}, is not a number of bytes`, {
    hint: "Give a whole number of bytes, or Infinity for no bound.",
  });
}

/** The beginning of what a command prints, as much as was asked for. */
export class GatheredOutput {
  readonly #stdout: OneOutput;
  readonly #stderr: OneOutput;

  /** @param mostBytes of each output */
  constructor(mostBytes: number) {
    this.#stdout = new OneOutput(mostBytes);
    this.#stderr = new OneOutput(mostBytes);
  }

  add(event: ExecEvent): void {
    if (event.kind === "stdout") this.#stdout.add(event.data);
    else if (event.kind === "stderr") this.#stderr.add(event.data);
  }

  get stdout(): Buffer {
    return this.#stdout.bytes();
  }

  get stderr(): Buffer {
    return this.#stderr.bytes();
  }

  get truncated(): boolean {
    return this.#stdout.truncated || this.#stderr.truncated;
  }
}

class OneOutput {
  truncated = false;
  readonly #pieces: Buffer[] = [];
  #left: number;

  constructor(mostBytes: number) {
    this.#left = mostBytes;
  }

  add(data: Buffer): void {
    const kept = data.subarray(0, Math.min(this.#left, data.length));
    if (kept.length < data.length) this.truncated = true;
    if (kept.length === 0) return;
    this.#left -= kept.length;
    this.#pieces.push(kept);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}
