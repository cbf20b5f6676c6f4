import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { hasEnded, jobRecordsText, readJobRecords, type JobRecord } from "../../store/jobs/job-record.ts";

/** So many that have ended are known; the oldest go. */
export const mostEnded = 256;
/** What could not be written is tried again after so many ms. */
const retryMs = 5_000;

/**
 * What is known of a sandbox's jobs, in memory and in `jobs.json`. Memory is ahead of the disk. Changes that come while one is written are
 * written together.
 */
export class JobBook {
  readonly #path: string;
  /** Oldest first. */
  readonly #records = new Map<string, JobRecord>();
  readonly #note: (problem: string) => void;
  #changes = 0;
  #written = 0;
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | undefined;
  #isOnDisk = true;

  private constructor(path: string, records: readonly JobRecord[], note: (problem: string) => void) {
    this.#path = path;
    this.#note = note;
    for (const record of records) this.#records.set(record.id, record);
  }

  /** One that cannot be read is begun anew. @param note told of what goes wrong */
  static async open(path: string, note: (problem: string) => void): Promise<JobBook> {
    try {
      return new JobBook(path, await readJobRecords(path), note);
    } catch (error) {
      note(`what was known of jobs is lost: ${String(error)}`);
      return new JobBook(path, [], note);
    }
  }

  get records(): Iterable<JobRecord> {
    return this.#records.values();
  }

  get(id: string): JobRecord | null {
    return this.#records.get(id) ?? null;
  }

  /** True in memory at once. It is written soon; {@link saved} waits for that. */
  put(record: JobRecord): void {
    this.#records.set(record.id, record);
    this.#changes++;
    let ended = 0;
    for (const each of this.#records.values()) if (hasEnded(each)) ended++;
    for (const each of this.#records.values()) {
      if (ended <= mostEnded) break;
      if (!hasEnded(each)) continue;
      this.#records.delete(each.id);
      ended--;
    }
    void this.#begin();
  }

  /** Resolves when everything is on the disk. @throws IoError when it cannot be written: that is tried again */
  async saved(): Promise<void> {
    const wanted = this.#changes;
    while (this.#isOnDisk && this.#written < wanted) await this.#begin();
  }

  /** Has nothing written from now on: another sandbox's may come to its place. */
  async leaveDisk(): Promise<void> {
    this.#isOnDisk = false;
    clearTimeout(this.#retry);
    await this.#writing?.catch(() => undefined);
  }

  /** Writes what is not written yet, and nothing after that. What could not be written is noted. */
  async close(): Promise<void> {
    await this.saved().catch(() => undefined);
    await this.leaveDisk();
  }

  #begin(): Promise<void> {
    if (!this.#isOnDisk) return Promise.resolve();
    clearTimeout(this.#retry);
    if (this.#writing === null) {
      // What is put in this very moment is written with it.
      this.#writing = Promise.resolve()
        .then(() => this.#write())
        .finally(() => {
          this.#writing = null;
          if (this.#written < this.#changes && this.#retry === undefined) void this.#begin();
        });
      this.#writing.catch(() => undefined);
    }
    return this.#writing;
  }

  async #write(): Promise<void> {
    const changes = this.#changes;
    this.#retry = undefined;
    try {
      await writeFileAtomically(this.#path, jobRecordsText([...this.#records.values()]));
      this.#written = changes;
    } catch (error) {
      this.#note(`jobs.json is behind: ${String(error)}`);
      this.#retry = setTimeout(() => void this.#begin(), retryMs).unref();
      throw error;
    }
  }
}
