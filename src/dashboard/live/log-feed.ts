import { openMarkedLog } from "../../api/logs/whole-lines.ts";
import { MissedRotationError } from "../../errors/index.ts";
import type { LogLine } from "../wire.ts";
import type { Feed } from "./feed.ts";
import { LogLines } from "./log-lines.ts";

/** Of what is logged already, so many entries are told. */
const tail = 2000;
/** Lines are told together that come within so many ms. */
const gatherMs = 100;
/** Of those, at most the last so many: nobody reads more. */
const mostAtOnce = 500;

/** Tells what is logged of a sandbox, then what comes, until it ends; of what comes too fast to be read only a part. */
export const watchLogs: Feed<"logs"> = async ({ name }, tell, signal) => {
  const log = await openMarkedLog(name);
  const lines = new LogLines();
  const entries = await log.read({ tail, sources: ["all"] });
  const history = entries.flatMap((entry) => lines.push(entry));
  await tell({ lines: history.slice(-tail), skipped: 0 });
  let cursor = entries.at(-1)?.cursor;
  for (;;) {
    await using stream = await log.stream({
      follow: true,
      sources: ["all"],
      ...(cursor === undefined ? {} : { fromCursor: cursor }),
    });
    const sender = new Gathered(tell);
    try {
      for (let entry = await stream.recv({ signal }); entry !== null; entry = await stream.recv({ signal })) {
        sender.add(lines.push(entry));
        await sender.pace();
        cursor = entry.cursor;
      }
      sender.add(lines.end());
      await sender.flush();
      return;
    } catch (error) {
      if (!(error instanceof MissedRotationError)) throw error;
      // It was written faster than it was read: go on with what is there.
      await sender.flush();
      await tell({ lines: [], skipped: 1 });
      cursor = undefined;
    }
  }
};

/** Lines on their way to the page, a few times a second. */
class Gathered {
  readonly #tell: Parameters<Feed<"logs">>[1];
  #lines: LogLine[] = [];
  #skipped = 0;
  #timer: NodeJS.Timeout | null = null;
  #telling: Promise<void> = Promise.resolve();

  constructor(tell: Parameters<Feed<"logs">>[1]) {
    this.#tell = tell;
  }

  add(lines: readonly LogLine[]): void {
    if (lines.length === 0) return;
    this.#lines.push(...lines);
    const over = this.#lines.length - mostAtOnce;
    if (over > 0) {
      this.#lines = this.#lines.slice(over);
      this.#skipped += over;
    }
    this.#timer ??= setTimeout(() => void this.flush(), gatherMs);
  }

  /** Waits while the page has not taken what it was told. */
  async pace(): Promise<void> {
    await this.#telling;
  }

  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines.length > 0) {
      const news = { lines: this.#lines, skipped: this.#skipped };
      [this.#lines, this.#skipped] = [[], 0];
      this.#telling = this.#telling.then(() => this.#tell(news));
    }
    await this.#telling;
  }
}
