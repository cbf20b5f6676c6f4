import { open, type FileHandle } from "node:fs/promises";
import { MissedRotationError } from "../../errors/index.ts";
import {
  logLineData,
  logMaximumFiles,
  parseLogLine,
  startedMarker,
  type LogLine,
} from "../../store/log-format.ts";
import { LogEntry } from "./log-entry.ts";

interface LogPart {
  readonly file: FileHandle;
  /** Position of the file's first byte in the whole log. */
  readonly base: number;
  readonly size: number;
}

export interface ExecLogRead {
  /** With the marks of where lines end. */
  readonly entries: LogEntry[];
  /** Where the reading began. */
  readonly begin: number;
  /** Where to go on. */
  readonly position: number;
}

const newline = 0x0a;
const nothing = Buffer.alloc(0);

/**
 * Reads `exec.log` and its rotated files from a position on.
 *
 * @param position of a byte in the whole log; null begins at the oldest one there is
 * @throws MissedRotationError when the position was rotated away
 */
export async function readExecLog(path: string, position: number | null): Promise<ExecLogRead> {
  const parts = await openParts(path);
  try {
    const oldest = parts[0];
    if (oldest === undefined) return { entries: [], begin: position ?? 0, position: position ?? 0 };
    const from = position ?? oldest.base;
    if (from < oldest.base) {
      throw new MissedRotationError("the log was rotated away before it was read", {
        hint: "Read more often, or begin again without the cursor.",
      });
    }
    const entries: LogEntry[] = [];
    let end = from;
    for (const part of parts) {
      const begin = Math.max(end, part.base);
      if (begin >= part.base + part.size) continue;
      end = await readPart(part, begin, entries);
    }
    return { entries, begin: from, position: end };
  } finally {
    await Promise.all(parts.map(({ file }) => file.close()));
  }
}

/** Of a piece of the log, one line. */
export interface PlacedLine {
  readonly line: LogLine;
  /** In the whole log: of the first byte after it. */
  readonly position: number;
}

/** Of a piece, so many bytes at most; more than any line has. */
const pieceBytes = 1024 * 1024;

/**
 * Reads some of what comes after a position, or after the oldest byte that there still is.
 *
 * @param upTo the position of a byte in the whole log that is not read any more
 * @returns the lines, and where to go on: where it began, when there is nothing more
 */
export async function readExecLogPiece(
  path: string,
  position: number,
  upTo: number,
): Promise<{ readonly lines: PlacedLine[]; readonly position: number }> {
  const parts = await openParts(path);
  try {
    const part = parts.find(({ base, size }) => base + size > position);
    if (part === undefined) return { lines: [], position };
    const begin = Math.max(position, part.base);
    const end = Math.min(part.base + part.size, upTo, begin + pieceBytes);
    const lines: PlacedLine[] = [];
    if (end <= begin) return { lines, position: begin };
    const after = await readLines(part, begin, end, (line, place) => lines.push({ line, position: place }));
    // What has no end for so long is damaged.
    return { lines, position: after === begin && end - begin === pieceBytes ? end : after };
  } finally {
    await Promise.all(parts.map(({ file }) => file.close()));
  }
}

/** Oldest first. Opened newest first: a rotation meanwhile can then show a file twice, but hide none. */
async function openParts(path: string): Promise<LogPart[]> {
  const parts: LogPart[] = [];
  const seen = new Set<number>();
  for (let n = 0; n < logMaximumFiles; n++) {
    const file = await open(n === 0 ? path : `${path}.${n}`, "r").catch(() => null);
    if (file === null) continue;
    const { ino, size } = await file.stat();
    if (seen.has(ino)) {
      await file.close();
      continue;
    }
    seen.add(ino);
    parts.unshift({ file, base: await readBase(file), size });
  }
  return parts;
}

async function readBase(file: FileHandle): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
  const firstLine = buffer.toString("utf8", 0, bytesRead).split("\n", 1)[0] ?? "";
  return parseLogLine(firstLine)?.base ?? 0;
}

/** @returns the position after the last whole line */
async function readPart(part: LogPart, begin: number, entries: LogEntry[]): Promise<number> {
  return await readLines(part, begin, part.base + part.size, (line, position) => {
    const time = new Date(line.t);
    const [id, data] = [line.id ?? null, logLineData(line)];
    // Whoever ran before has ended, though a supervisor that was killed could not say so.
    if (id === null && line.d === startedMarker)
      entries.push(new LogEntry(time, "system", null, nothing, position, "all"));
    entries.push(new LogEntry(time, line.s, id, data, position, line.end === true ? "session" : null));
  });
}

/** @param found called for each line that is none of a file's head, with the position after it @returns the position after the last whole line */
async function readLines(
  part: LogPart,
  begin: number,
  end: number,
  found: (line: LogLine, position: number) => void,
): Promise<number> {
  const bytes = Buffer.alloc(end - begin);
  const { bytesRead } = await part.file.read(bytes, 0, bytes.length, begin - part.base);
  let start = 0;
  for (let at = bytes.indexOf(newline); at !== -1 && at < bytesRead; at = bytes.indexOf(newline, start)) {
    const line = parseLogLine(bytes.toString("utf8", start, at));
    start = at + 1;
    if (line !== null && line.base === undefined) found(line, begin + start);
  }
  return begin + start;
}
