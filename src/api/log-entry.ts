import { InvalidConfigError, InvalidCursorError } from "../errors/index.ts";
import type { LogSource } from "../store/index.ts";

export type { LogSource };

/** A source, or all of them. */
export type LogReadSource = LogSource | "all";

/** Which entries to read. */
export interface LogReadOptions {
  /** Only the last so many, after all other filters. */
  readonly tail?: number;
  /** Not before this moment. */
  readonly since?: Date;
  /** Before this moment. */
  readonly until?: Date;
  /** By default `stdout`, `stderr` and `output`: what commands printed. */
  readonly sources?: readonly LogReadSource[];
}

/** A piece of what a command printed, or a line about the sandbox itself (`system`). */
export class LogEntry {
  readonly timestamp: Date;
  /** `stdout` and `stderr` of commands on pipes, `output` of commands on a terminal, `system` for everything else. */
  readonly source: LogSource;
  /** The command's session, from 1 in each run of the sandbox; null for `system`. */
  readonly sessionId: number | null;
  readonly data: Buffer;
  /** Where to go on reading: {@link LogStreamOptions.fromCursor}. */
  readonly cursor: string;

  /** @internal */
  constructor(timestamp: Date, source: LogSource, sessionId: number | null, data: Buffer, cursor: string) {
    this.timestamp = timestamp;
    this.source = source;
    this.sessionId = sessionId;
    this.data = data;
    this.cursor = cursor;
  }

  /** The data as UTF-8; bytes that are none are replaced by U+FFFD. */
  text(): string {
    return this.data.toString("utf8");
  }
}

const allSources: readonly LogSource[] = ["stdout", "stderr", "output", "system"];
const defaultSources: readonly LogSource[] = ["stdout", "stderr", "output"];

/** @throws InvalidConfigError */
export function chosenSources(sources: readonly LogReadSource[] | undefined): ReadonlySet<LogSource> {
  if (sources === undefined) return new Set(defaultSources);
  const chosen = new Set<LogSource>();
  for (const source of sources) {
    if (source === "all") return new Set(allSources);
    if (!allSources.includes(source)) {
      throw new InvalidConfigError(`unknown log source ${JSON.stringify(source)}`, {
        hint: `Use ${allSources.join(", ")} or all.`,
      });
    }
    chosen.add(source);
  }
  return chosen;
}

/** @throws InvalidConfigError */
export function checkLogOptions(options: LogReadOptions): void {
  const { tail, since, until } = options;
  if (tail !== undefined && (!Number.isInteger(tail) || tail < 0)) {
    throw new InvalidConfigError(`tail is ${tail}, which is not a whole number from 0 up`);
  }
  for (const date of [since, until]) {
    if (date !== undefined && Number.isNaN(date.getTime()))
      throw new InvalidConfigError("since or until is no valid date");
  }
}

export function isInTime(timestamp: Date, options: Pick<LogReadOptions, "since" | "until">): boolean {
  const { since, until } = options;
  return (since === undefined || timestamp >= since) && (until === undefined || timestamp < until);
}

/** @param position of the first byte after the entry, in the whole log */
export function encodeLogCursor(position: number): string {
  return Buffer.from(JSON.stringify({ log: position })).toString("base64url");
}

/** @throws InvalidCursorError */
export function decodeLogCursor(cursor: string): number {
  try {
    const decoded: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (typeof decoded === "object" && decoded !== null && "log" in decoded) {
      if (typeof decoded.log === "number" && Number.isSafeInteger(decoded.log) && decoded.log >= 0)
        return decoded.log;
    }
  } catch {
    // Refused below.
  }
  throw new InvalidCursorError("the log cursor is not valid", {
    hint: "Pass the cursor of a log entry as it is.",
  });
}
