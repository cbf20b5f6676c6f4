import { logLineData, type LogSource } from "../../store/log-format.ts";
import { readExecLogPiece } from "../logs/exec-log-reader.ts";
import type { JobPlace } from "./job-cursor.ts";

/** A piece of a job's output in the log. */
export interface JobOutputPiece {
  readonly kind: "output";
  readonly source: LogSource;
  readonly timestamp: Date;
  readonly data: Buffer;
  /** After it. */
  readonly place: JobPlace;
}

/** So many bytes of its output are not there. */
export interface JobOutputGap {
  readonly kind: "gap";
  readonly bytes: number;
  readonly place: JobPlace;
}

/** Reads a job's output from exec.log, a piece at a time, and finds out what is missing of it. */
export class JobOutput {
  readonly #path: string;
  readonly #session: number;
  #position: number;
  #printed: number;

  /**
   * @param path of exec.log
   * @param from where it begins: after so many bytes of output, of which none is before that position of the log
   */
  constructor(path: string, session: number, from: JobPlace) {
    this.#path = path;
    this.#session = session;
    this.#position = from.position;
    this.#printed = from.printed;
  }

  get place(): JobPlace {
    return { position: this.#position, printed: this.#printed };
  }

  /**
   * Some of what is in the log before a position.
   *
   * @param upTo the position; Infinity for all there is
   * @returns empty when there is none of it any more
   */
  async read(upTo: number): Promise<(JobOutputPiece | JobOutputGap)[]> {
    const found: (JobOutputPiece | JobOutputGap)[] = [];
    while (found.length === 0 && this.#position < upTo) {
      const { lines, position } = await readExecLogPiece(this.#path, this.#position, upTo);
      for (const { line, position: after } of lines) {
        if (line.id !== this.#session || line.o === undefined || line.d === "") continue;
        const data = logLineData(line);
        this.#skipTo(line.o, after, found);
        // It may begin before what is wanted.
        const rest = data.subarray(Math.max(0, this.#printed - line.o));
        if (rest.length === 0) continue;
        this.#printed = line.o + data.length;
        const place = { position: after, printed: this.#printed };
        found.push({ kind: "output", source: line.s, timestamp: new Date(line.t), data: rest, place });
      }
      if (position === this.#position) break;
      this.#position = position;
    }
    return found;
  }

  /** It is known to have printed so much, and what of that is in the log was read. */
  missing(printed: number): JobOutputGap | null {
    const found: JobOutputGap[] = [];
    this.#skipTo(printed, this.#position, found);
    return found[0] ?? null;
  }

  #skipTo(printed: number, position: number, found: (JobOutputPiece | JobOutputGap)[]): void {
    const bytes = printed - this.#printed;
    if (bytes <= 0) return;
    this.#printed = printed;
    found.push({ kind: "gap", bytes, place: { position, printed } });
  }
}
