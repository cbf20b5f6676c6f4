import { types } from "node:util";
import { checkList, shown } from "../../config/checks.ts";
import { InvalidConfigError, InvalidCursorError } from "../../errors/index.ts";
import type { LogSource } from "../../store/log-format.ts";

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

export const logReadOptions = { tail: "any", since: "any", until: "any", sources: "any" } as const;

/** What a mark in the log says: which lines are over though no newline ended them. Its own session's and source's, or all. */
export type LineEnds = "session" | "all";

/** A piece of what a command printed, or a line about the sandbox itself (`system`). */
export class LogEntry {
  readonly timestamp: Date;
  /** `stdout` and `stderr` of commands on pipes, `output` of commands on a terminal, `system` for everything else. */
  readonly source: LogSource;
  /** The command's session, from 1 in each run of the sandbox; null for `system`. */
  readonly sessionId: number | null;
  readonly data: Buffer;
  readonly #position: number;
  readonly #ends: LineEnds | null;

  /**
   * @internal
   * @param position in `exec.log`: of the first byte that comes after this entry
   * @param ends for a mark, which is no entry for users and has no data
   */
  constructor(
    timestamp: Date,
    source: LogSource,
    sessionId: number | null,
    data: Buffer,
    position: number,
    ends: LineEnds | null = null,
  ) {
    this.timestamp = timestamp;
    this.source = source;
    this.sessionId = sessionId;
    this.data = data;
    this.#position = position;
    this.#ends = ends;
  }

  /**
   * Where to go on reading: {@link LogStreamOptions.fromCursor}. It is exact for what commands printed; lines about the
   * sandbox itself go on with the next millisecond.
   */
  get cursor(): string {
    return encodeLogCursor({ position: this.#position, at: this.timestamp });
  }

  /** @internal */
  get position(): number {
    return this.#position;
  }

  /** @internal */
  get ends(): LineEnds | null {
    return this.#ends;
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
  for (const source of checkList("sources", sources) as LogReadSource[]) {
    if (source === "all") return new Set(allSources);
    if (!allSources.includes(source)) {
      throw new InvalidConfigError(`unknown log source ${shown(source)}`, {
        hint: `Use ${allSources.join(", ")} or all.`,
      });
    }
    chosen.add(source);
  }
  return chosen;
}

/** @throws InvalidConfigError */
export function checkLogOptions(options: LogReadOptions): void {
  const { tail, since, until, sources } = options;
  chosenSources(sources);
  if (tail !== undefined && (!Number.isInteger(tail) || tail < 0)) {
    throw new InvalidConfigError(`tail is ${shown(tail)}, which is not a whole number from 0 up`);
  }
  for (const [name, date] of Object.entries({ since, until })) {
    if (date !== undefined && !(types.isDate(date) && Number.isFinite(date.getTime())))
      throw new InvalidConfigError(`${name} is no valid date`, { hint: "Give a Date." });
  }
}

export function isInTime(timestamp: Date, options: Pick<LogReadOptions, "since" | "until">): boolean {
  const { since, until } = options;
  return (since === undefined || timestamp >= since) && (until === undefined || timestamp < until);
}

/** A place in the log. */
export interface LogPlace {
  /** In `exec.log` and its rotated files, bytes. */
  readonly position: number;
  /** In the other logs, which have no positions. */
  readonly at: Date;
}

export function encodeLogCursor(place: LogPlace): string {
  return Buffer.from(JSON.stringify({ log: place.position, at: place.at.getTime() })).toString("base64url");
}

/** @throws InvalidCursorError */
export function decodeLogCursor(cursor: string): LogPlace {
  try {
    const decoded: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (typeof decoded === "object" && decoded !== null && "log" in decoded && "at" in decoded) {
      const { log, at } = decoded;
      if (isPosition(log) && isPosition(at)) return { position: log, at: new Date(at) };
    }
  } catch {
    // Refused below.
  }
  throw new InvalidCursorError("the log cursor is not valid", {
    hint: "Pass the cursor of a log entry as it is.",
  });
}

function isPosition(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Whether what is asked for has an entry in it. @param marks whether marks are wanted, which belong to no source or time */
export function isChosen(
  entry: LogEntry,
  sources: ReadonlySet<LogSource>,
  range: Pick<LogReadOptions, "since" | "until">,
  marks: boolean,
): boolean {
  if (entry.ends !== null) return marks;
  return sources.has(entry.source) && isInTime(entry.timestamp, range);
}
