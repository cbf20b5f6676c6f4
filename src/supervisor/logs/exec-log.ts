import { open } from "node:fs/promises";
import {
  encodeLogLine,
  formatLogEnd,
  formatLogHeader,
  logMaximumBytes,
  logMaximumFiles,
  parseLogLine,
  type LogSource,
} from "../../store/log-format.ts";
import { RotatingFile } from "../../host/files/rotating-file.ts";

/** Commands wait for their output to be logged once so many bytes are queued. */
const fullAtBytes = 4 * 1024 * 1024;

/** Bytes of output that a line holds at most: of longer strings V8 keeps each in pages of its own, which costs more than the rest. */
const lineBytes = 60 * 1024;

/** Of the memory of long lines so many are kept: as many as may be queued. */
const mostFree = 64;
/** Bytes by which the rest of one line may be longer than that of another. */
const headRoom = 64;

const newline = 0x0a;

/** Writes `exec.log`: everything every command printed. */
export class ExecLog {
  readonly #file: RotatingFile;
  /** Memory of long lines that are written. */
  readonly #free: Buffer[] = [];
  /** Of each session, the sources whose last line has no end yet. */
  readonly #unfinished = new Map<number, Set<LogSource>>();

  private constructor(file: RotatingFile) {
    this.#file = file;
  }

  static async open(path: string): Promise<ExecLog> {
    const options = { maximumBytes: logMaximumBytes, maximumFiles: logMaximumFiles, header: formatLogHeader };
    return new ExecLog(await RotatingFile.open(path, options, await readBase(path)));
  }

  /** @param printed of a job: how many bytes it had printed before */
  write(source: LogSource, data: Buffer, sessionId: number | null, printed: number | null = null): void {
    let offset = printed;
    for (const piece of piecesOf(data)) {
      if (piece.length < lineBytes / 2)
        this.#file.append(encodeLogLine(source, piece, sessionId, undefined, offset));
      else this.#writeLong(source, piece, sessionId, offset);
      if (offset !== null) offset += piece.length;
    }
    if (sessionId === null || data.length === 0) return;
    const unfinished = this.#unfinished.get(sessionId);
    if (data.at(-1) === newline) unfinished?.delete(source);
    else if (unfinished === undefined) this.#unfinished.set(sessionId, new Set([source]));
    else unfinished.add(source);
  }

  /** Bytes that are no text are put into memory that is used again: it is a third more than what a command printed. */
  #writeLong(source: LogSource, piece: Buffer, sessionId: number | null, offset: number | null): void {
    let memory: Buffer | null = null;
    const take = (bytes: number): Buffer => {
      const free = this.#free.pop();
      memory = free !== undefined && free.length >= bytes ? free : Buffer.allocUnsafeSlow(bytes + headRoom);
      return memory;
    };
    const line = encodeLogLine(source, piece, sessionId, take, offset);
    this.#file.append(line, () => {
      if (memory !== null && this.#free.length < mostFree) this.#free.push(memory);
    });
  }

  /** Notes that a session's command has ended: a line that it left without a newline is over. */
  endLines(sessionId: number): void {
    const unfinished = this.#unfinished.get(sessionId) ?? [];
    this.#unfinished.delete(sessionId);
    for (const source of unfinished) this.#file.append(Buffer.from(formatLogEnd(source, sessionId)));
  }

  /** Where in the whole log the next byte goes that is written. */
  get position(): number {
    return this.#file.position;
  }

  /** True while commands should not be given credit for more output. */
  get full(): boolean {
    return this.#file.pendingBytes > fullAtBytes;
  }

  /** True while something is not written yet. */
  get pending(): boolean {
    return this.#file.pendingBytes > 0;
  }

  /** The latest write that failed; what it held is not in the log. */
  get failure(): Error | null {
    return this.#file.failure;
  }

  /** Resolves when everything logged so far is written. */
  flush(): Promise<void> {
    return this.#file.flush();
  }

  /** Calls back when more is in the file. @returns stops that */
  watch(changed: () => void): () => void {
    return this.#file.watch(changed);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Pieces that fit into a line each, cut between characters where the data is text (RFC 3629, section 3). */
function* piecesOf(data: Buffer): Generator<Buffer> {
  let from = 0;
  for (let to = lineBytes; to < data.length; to = from + lineBytes) {
    for (let back = 0; back < 3 && isContinuation(data[to]); back++) to--;
    yield data.subarray(from, to);
    from = to;
  }
  yield data.subarray(from);
}

function isContinuation(byte = 0): boolean {
  return (byte & 0b1100_0000) === 0b1000_0000;
}

/** The position in the whole log at which the existing file begins, from its first line. */
async function readBase(path: string): Promise<number> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
      const firstLine = buffer.toString("utf8", 0, bytesRead).split("\n", 1)[0] ?? "";
      return parseLogLine(firstLine)?.base ?? 0;
    } finally {
      await file.close();
    }
  } catch {
    return 0;
  }
}
