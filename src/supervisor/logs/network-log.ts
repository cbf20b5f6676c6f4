import { open } from "node:fs/promises";
import type { NetworkPolicy } from "../../config/network/policy-type.ts";
import { RotatingFile } from "../../host/files/rotating-file.ts";
import type { NetworkEvent, NetworkLogEvent } from "../../network/events.ts";
import { logMaximumBytes, logMaximumFiles } from "../../store/log-format.ts";
import { formatNetworkLine, parseNetworkLine } from "../../store/network-log-format.ts";

/** Lines are dropped, and counted, once so many bytes wait for the disk. */
const fullAtBytes = 4 * 1024 * 1024;
/** Of lines that a watcher has not taken, so many wait for it. The others are in the file. */
const mostWaiting = 1024;
/** And no more bytes, but for a single line: they are sent in one message, which has a bound. */
const mostWaitingBytes = 1024 * 1024;
/** Where the last line of a log is looked for first. That of a large policy is longer. Bytes. */
const tailBytes = 64 * 1024;

/** What a watcher is given at a time. */
export interface NetworkLines {
  /** So many lines before these were dropped. */
  readonly lost: number;
  readonly lines: readonly string[];
}

/** Somebody who is told of each line. */
export interface NetworkWatch {
  /** What came since it was taken last; null when nothing did. */
  take(): NetworkLines | null;
  close(): void;
}

/** Writes `network.log`, and passes on what is written. The guest decides what comes to pass, not how much is kept. */
export class NetworkLog {
  readonly #file: RotatingFile;
  readonly #watches = new Set<Watch>();
  /** Number of the next line. */
  #next: number;
  /** Events since the last one that found room. */
  #lost = 0;
  /** As of the last line about it: each further file begins with it. */
  #policy: Omit<Extract<NetworkLogEvent, { kind: "policy" }>, "cause"> | null = null;

  private constructor(file: RotatingFile, next: number) {
    this.#file = file;
    this.#next = next;
  }

  /** @throws IoError */
  static async open(path: string): Promise<NetworkLog> {
    let log: NetworkLog | null = null;
    const file = await RotatingFile.open(path, {
      maximumBytes: logMaximumBytes,
      maximumFiles: logMaximumFiles,
      header: () => log?.header() ?? "",
    });
    const last = await lastLine(path);
    // What was being written when the host lost its power must not spoil the line that is written next.
    if (last.torn) file.append(Buffer.from("\n"));
    log = new NetworkLog(file, last.n + 1);
    return log;
  }

  /** Number of the next line. */
  get next(): number {
    return this.#next;
  }

  /** The latest write that failed; what it held is not in the log. */
  get failure(): Error | null {
    return this.#file.failure;
  }

  /** Notes what came to pass. */
  readonly event = (event: NetworkEvent): void => {
    this.#write(event);
  };

  /** Notes by what is decided from now on: never dropped, since what comes later could not be understood without it. */
  policy(cause: "start" | "update", policy: NetworkPolicy, observe: boolean): void {
    this.#policy = { kind: "policy", timestampMs: Date.now(), policy, observe };
    this.#appendLost();
    this.#append({ ...this.#policy, cause });
  }

  /** @param news called when there is something to take after there was nothing */
  watchLines(news: () => void): NetworkWatch {
    const watch = new Watch(news, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }

  /** Calls back when more is in the file. @returns stops that */
  watch(changed: () => void): () => void {
    return this.#file.watch(changed);
  }

  /** Resolves when all lines so far are written, or dropped. */
  flush(): Promise<void> {
    return this.#file.flush();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** @internal The first line of a further file. It has the number of the line before it. */
  header(): string {
    if (this.#policy === null) return "";
    return `${formatNetworkLine(this.#next - 1, { ...this.#policy, timestampMs: Date.now(), cause: "rotation" })}\n`;
  }

  #write(event: NetworkLogEvent): void {
    if (this.#file.pendingBytes > fullAtBytes) {
      this.#lost++;
      return;
    }
    this.#appendLost();
    this.#append(event);
  }

  #appendLost(): void {
    if (this.#lost === 0) return;
    const count = this.#lost;
    this.#lost = 0;
    this.#append({ kind: "lost", timestampMs: Date.now(), count });
  }

  #append(event: NetworkLogEvent): void {
    const line = formatNetworkLine(this.#next++, event);
    const bytes = Buffer.from(`${line}\n`);
    this.#file.append(bytes);
    for (const watch of this.#watches) watch.add(line, bytes.length);
  }
}

class Watch implements NetworkWatch {
  readonly #news: () => void;
  readonly #closed: () => void;
  #waiting: string[] = [];
  #bytes = 0;
  #lost = 0;

  constructor(news: () => void, closed: () => void) {
    this.#news = news;
    this.#closed = closed;
  }

  add(line: string, bytes: number): void {
    const first = this.#waiting.length === 0;
    while (
      this.#waiting.length >= mostWaiting ||
      (this.#waiting.length > 0 && this.#bytes + bytes > mostWaitingBytes)
    ) {
      // Half of them at a time: to move all others up for each would take longer than to keep them.
      const dropped = this.#waiting.splice(0, Math.ceil(this.#waiting.length / 2));
      for (const old of dropped) this.#bytes -= Buffer.byteLength(old) + 1;
      this.#lost += dropped.length;
    }
    this.#waiting.push(line);
    this.#bytes += bytes;
    if (first) this.#news();
  }

  take(): NetworkLines | null {
    if (this.#waiting.length === 0) return null;
    const taken = { lost: this.#lost, lines: this.#waiting };
    this.#waiting = [];
    this.#bytes = this.#lost = 0;
    return taken;
  }

  close(): void {
    this.#closed();
  }
}

/** The number of the last line of a log that is whole, 0 when there is none; and whether another one follows that is not. */
async function lastLine(path: string): Promise<{ readonly n: number; readonly torn: boolean }> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    for (let length = tailBytes; ; length *= 4) {
      const tail = Buffer.alloc(Math.min(length, size));
      const { bytesRead } = await file.read(tail, 0, tail.length, size - tail.length);
      const text = tail.toString("utf8", 0, bytesRead);
      const torn = text !== "" && !text.endsWith("\n");
      for (const line of text.split("\n").reverse()) {
        const parsed = parseNetworkLine(line);
        if (parsed !== null) return { n: parsed.n, torn };
      }
      if (length >= size) return { n: 0, torn };
    }
  } catch {
    // As if there were none: numbers begin anew.
    return { n: 0, torn: false };
  }
}
