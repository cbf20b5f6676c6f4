import type { Operation, WaitOptions } from "../../host/operation.ts";
import { SandboxWithJobs } from "../jobs/sandbox-with-jobs.ts";
import { dropCheckpoint, makeCheckpoint, readCheckpoints, rollBack } from "./checkpoint-calls.ts";
import {
  checkpointOptions,
  rollbackOptions,
  type Checkpoint,
  type CheckpointOptions,
  type RollbackOptions,
} from "./checkpoint.ts";

/** What can be done with the checkpoints of a sandbox by whoever knows it. */
export abstract class CheckpointedSandbox extends SandboxWithJobs {
  /** Whether one that is started for a call ends with this process. */
  protected get ownsStart(): boolean {
    return false;
  }

  /**
   * Notes a moment of the running sandbox to go {@link rollback | back} to: its memory, its programs and its disk. It goes on as it was, paused or
   * not. A checkpoint stays until it is removed, or the sandbox is: over stops, starts, and ways back to others.
   *
   * @param name of the checkpoint; one is made for it where it is left out
   * @throws CheckpointAlreadyExistsError, InvalidConfigError, SandboxNotRunningError; UnsupportedOperationError with files of the host or a
   *   disk of others in the guest; RuntimeError, also for more than 100; IoError. Nothing is left of it then
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("try-example").image("localhost/base").replace().create();
   * await sandbox.shell("echo good > /root/work; echo good > /dev/shm/work");
   * const before = await sandbox.checkpoint();
   * await sandbox.shell("rm -r /root/* /dev/shm/*");
   * await sandbox.rollback(before);
   * console.log((await sandbox.shell("cat /root/work /dev/shm/work")).stdout()); // good, twice
   * ```
   */
  async checkpoint(name?: string, options: CheckpointOptions & WaitOptions = {}): Promise<Checkpoint> {
    const make = (operation: Operation): Promise<Checkpoint> =>
      makeCheckpoint(this.control, name, options, operation);
    return await this.control.run("make a checkpoint of sandbox", options, make, checkpointOptions);
  }

  /**
   * Goes back to a checkpoint, memory and disk together. What the sandbox has done since is lost; what ran then runs again, with the time of now
   * and random numbers that nobody had before. Its name, its id, its owner, its ports, rules and secrets are those of now, and this object goes on.
   *
   * Commands, streams of files and connections that are open end with an error; output of what ran at the checkpoint goes to the log. One that
   * does not run is started: it is this process's where it was before.
   *
   * @param checkpoint or its id
   * @throws CheckpointNotFoundError, SandboxNotRunningError for one that is about to end; RuntimeError when the host is not as it was then;
   *   IoError. It is as it was then. Where it is the start that fails, the next one goes back: BootStartError, IoError for a port that was taken
   */
  async rollback(
    checkpoint: Checkpoint | string,
    options: RollbackOptions & WaitOptions = {},
  ): Promise<void> {
    const goBack = async (operation: Operation): Promise<void> => {
      const started = await rollBack(this.control, checkpoint, this.ownsStart, options, operation);
      if (started !== null) this.control.takeOver(started.control);
    };
    await this.control.run("roll back sandbox", options, goBack, rollbackOptions);
  }

  /** The checkpoints of this sandbox, oldest first, whether it runs or not. @throws SandboxNotFoundError, IoError */
  async checkpoints(options: WaitOptions = {}): Promise<Checkpoint[]> {
    return await this.control.run("list the checkpoints of sandbox", options, (operation) =>
      operation.wait(readCheckpoints(this.control)),
    );
  }

  /** Removes one of them; the sandbox is as it was. @throws CheckpointNotFoundError, IoError */
  async removeCheckpoint(checkpoint: Checkpoint | string, options: WaitOptions = {}): Promise<void> {
    await this.control.run("remove a checkpoint of sandbox", options, (operation) =>
      operation.wait(dropCheckpoint(this.control, checkpoint)),
    );
  }
}
