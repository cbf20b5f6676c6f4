import { chmod, lstat, mkdir, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IoError } from "../../errors/index.ts";
import { randomHex } from "../../host/system/entropy.ts";
import type { Home } from "../home.ts";
import { hostBootId } from "../../host/system/host-boot.ts";
import { tryLockFile, type FileLock } from "../../host/locks/lock.ts";
import { lockFileWhenFree } from "../../host/locks/lock-when-free.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import {
  templateFileNames,
  templateRecordJson,
  type TemplateDetails,
  type TemplateFile,
  type TemplateRecord,
} from "./template-record.ts";
import {
  clearPlace,
  removeStaging,
  stagingPrefix,
  stagingSocket,
  sweepTemplateLeftovers,
} from "./template-removal.ts";
import { diskBytes, evictTemplates } from "./template-eviction.ts";
import {
  describeFile,
  distrust,
  templateDirectory,
  templatePaths,
  type Template,
  type TemplatePaths,
} from "./templates.ts";

/** Who sweeps holds a lock that was free for as long as it takes to remove its file: a millisecond, on a busy host some more. */
const sweepingMs = 1000;

/** The right to make the template of a key. Ends with its holder, however that ends. */
export class TemplateLock implements AsyncDisposable {
  readonly key: string;
  readonly #path: string;
  readonly #lock: FileLock;
  #released = false;

  constructor(key: string, path: string, lock: FileLock) {
    this.key = key;
    this.#path = path;
    this.#lock = lock;
  }

  /** Again does nothing. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    // While it is held: whoever waits is woken, finds that this file is gone, and makes a new one.
    await unlink(this.#path).catch(() => undefined);
    await this.#lock.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/**
 * Takes the right to make a template as soon as nobody else has it. Then look again: the other one may have made it. Who
 * needs two takes the image template's first.
 *
 * @throws the reason of the signal when it was aborted before the lock was held; IoError
 */
export async function lockTemplate(home: Home, key: string, signal?: AbortSignal): Promise<TemplateLock> {
  const path = `${templateDirectory(home, key)}.lock`;
  await prepareTemplates(home);
  return new TemplateLock(key, path, await lockFileWhenFree(path, signal));
}

/** The same without waiting, but for one who sweeps. @returns null when someone else has it. @throws IoError */
export async function tryLockTemplate(home: Home, key: string): Promise<TemplateLock | null> {
  const over = AbortSignal.timeout(sweepingMs);
  try {
    return await lockTemplate(home, key, over);
  } catch (error) {
    if (over.aborted && error === over.reason) return null;
    throw error;
  }
}

/**
 * A directory in which a template is put together, out of sight. The caller puts its files at `paths`; what a process leaves
 * that is killed meanwhile is never used, and removed by the next one who made a template or failed to.
 */
export class StagedTemplate implements AsyncDisposable {
  readonly directory: string;
  readonly paths: TemplatePaths;
  /** Where a socket may be made, to save the machine through. Goes with this, whatever becomes of its maker. */
  readonly socket: string;
  readonly #home: Home;
  readonly #lock: FileLock;
  #done = false;
  #tidied: Promise<void> = Promise.resolve();

  constructor(home: Home, directory: string, lock: FileLock) {
    this.#home = home;
    this.#lock = lock;
    this.directory = directory;
    this.paths = templatePaths(directory);
    this.socket = stagingSocket(home, directory);
  }

  /**
   * Makes it the template of the lock's key: complete from the moment it can be seen. Replaces what is in its place, and
   * releases the lock. Then it begins to remove what was replaced, what killed processes left, and the templates that were
   * not used for longest until all fit into `limitBytes`; that may take seconds, and `discard` waits for it.
   *
   * @returns null when it alone is larger than the limit: it is not kept
   * @throws IoError when a file is missing or cannot be written; it is discarded then
   */
  async commit(lock: TemplateLock, details: TemplateDetails, limitBytes: number): Promise<Template | null> {
    return await this.#finish(lock, details, { unusable: null, limitBytes });
  }

  /**
   * Records instead that no template of the lock's key can be made here, so that nobody tries again until it is removed.
   *
   * @param reason one clause
   * @throws IoError
   */
  async commitUnusable(lock: TemplateLock, details: TemplateDetails, reason: string): Promise<void> {
    await this.#finish(lock, details, { unusable: reason, limitBytes: Number.POSITIVE_INFINITY });
  }

  async #finish(
    lock: TemplateLock,
    details: TemplateDetails,
    { unusable, limitBytes }: { readonly unusable: string | null; readonly limitBytes: number },
  ): Promise<Template | null> {
    const { key } = lock;
    const directory = templateDirectory(this.#home, key);
    try {
      const record = await this.#writeRecord(details, unusable);
      if ((await diskBytes(this.directory)) > limitBytes) return null;
      const { ino } = await lstat(this.directory, { bigint: true });
      await this.#putInPlace(key, directory);
      this.#tidied = this.#tidy(key, limitBytes);
      await lock.release();
      return { key, directory, inode: ino, record, paths: templatePaths(directory) };
    } catch (error) {
      this.#tidied = sweepTemplateLeftovers(this.#home);
      if (error instanceof IoError) throw error;
      throw ioError(`make the template ${directory}`, error);
    } finally {
      await this.#end();
    }
  }

  async #tidy(key: string, limitBytes: number): Promise<void> {
    await evictTemplates(this.#home, limitBytes, key).catch(() => undefined);
    await sweepTemplateLeftovers(this.#home);
  }

  async #writeRecord(details: TemplateDetails, unusable: string | null): Promise<TemplateRecord> {
    const files: Record<string, TemplateFile> = {};
    if (unusable !== null) {
      for (const path of [this.paths.memory, this.paths.state, this.paths.upper]) {
        await rm(path, { force: true });
      }
    }
    for (const name of templateFileNames({ kind: details.kind, unusable })) {
      const path = join(this.directory, name);
      await chmod(path, 0o600);
      const found = await lstat(path, { bigint: true });
      const wrong = distrust(found, "file");
      if (wrong !== null) throw new IoError(`${path} ${wrong}`);
      files[name] = describeFile(found);
    }
    const record: TemplateRecord = {
      format: 1,
      ...details,
      createdAt: new Date().toISOString(),
      hostBoot: await hostBootId(),
      durable: false,
      files,
      unusable,
    };
    await writeFile(this.paths.record, templateRecordJson(record), { mode: 0o600, flag: "wx" });
    return record;
  }

  async #putInPlace(key: string, directory: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await rename(this.directory, directory);
        return;
      } catch (error) {
        const code = errorCode(error);
        const taken = code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOTDIR";
        // Only who has the lock puts something there, so the second try succeeds.
        if (!taken || attempt > 1) throw error;
        await clearPlace(this.#home, key);
      }
    }
  }

  /** Removes it, unless it was committed, and what others left. Again does nothing. */
  async discard(): Promise<void> {
    if (!this.#done) {
      await this.#end();
      this.#tidied = sweepTemplateLeftovers(this.#home);
    }
    await this.#tidied;
  }

  async #end(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await removeStaging(this.#home, this.directory);
    await this.#lock.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.discard();
  }
}

/**
 * Begins a template.
 *
 * @throws IoError
 */
export async function stageTemplate(home: Home): Promise<StagedTemplate> {
  await prepareTemplates(home);
  // Somebody who sweeps may hold the lock of a name for a moment, and never that of the next one too.
  for (let attempt = 1; ; attempt++) {
    const directory = join(home.templates, stagingPrefix + randomHex(8));
    const lock = await tryLockFile(`${directory}.lock`);
    if (lock === null) {
      if (attempt < 3) continue;
      throw new IoError(`cannot lock ${directory}.lock`);
    }
    const staged = new StagedTemplate(home, directory, lock);
    try {
      await mkdir(directory, { mode: 0o700 });
      return staged;
    } catch (error) {
      await staged.discard();
      throw ioError(`create ${directory}`, error);
    }
  }
}

/** @throws IoError when the directory of templates cannot be made, or others may write it */
async function prepareTemplates(home: Home): Promise<void> {
  try {
    await mkdir(home.templates, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw ioError(`create ${home.templates}`, error);
  }
  // A link to another disk is the user's choice.
  const found = await stat(home.templates, { bigint: true }).catch((error: unknown) => {
    throw ioError(`look at ${home.templates}`, error);
  });
  const wrong = distrust(found, "directory");
  if (wrong === null) return;
  throw new IoError(`${home.templates} ${wrong}`, {
    hint: "It must be a directory that only this user can write: remove it, or change its owner and mode.",
  });
}
