import { mkdir, rm } from "node:fs/promises";
import { ioError } from "../../host/system-error.ts";
import { tryLockFile, type FileLock } from "../../host/locks/lock.ts";
import type { Home } from "../home.ts";
import { newSandboxId, stagingPaths, sweepLeftovers, type SandboxPaths } from "../sandboxes.ts";

/**
 * A place in a home for a copy of a sandbox, for as long as this process needs it. What one leaves that is killed is swept away like a
 * sandbox that was never made to the end.
 */
export class CapturePlace implements AsyncDisposable {
  readonly paths: SandboxPaths;
  readonly #lock: FileLock;

  private constructor(paths: SandboxPaths, lock: FileLock) {
    this.paths = paths;
    this.#lock = lock;
  }

  /** @throws IoError */
  static async make(home: Home): Promise<CapturePlace> {
    // Others may have been killed while they had one, which is as large as a guest.
    await sweepLeftovers(home);
    const paths = stagingPaths(home, newSandboxId());
    try {
      await mkdir(paths.directory, { mode: 0o700 });
      const lock = await tryLockFile(paths.lock);
      if (lock === null) throw new Error("its lock is held by someone else");
      return new CapturePlace(paths, lock);
    } catch (error) {
      await rm(paths.directory, { recursive: true, force: true }).catch(() => undefined);
      throw ioError(`make ${paths.directory}`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.paths.directory, { recursive: true, force: true }).catch(() => undefined);
    await this.#lock.release();
  }
}
