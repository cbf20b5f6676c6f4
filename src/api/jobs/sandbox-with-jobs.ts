import type { WaitOptions } from "../../host/operation.ts";
import { NetworkedSandbox } from "../network/networked-sandbox.ts";
import type { Job } from "./job.ts";
import type { JobInfo } from "./job-info.ts";

/** What can be done about the jobs of a sandbox by whoever knows it. */
export abstract class SandboxWithJobs extends NetworkedSandbox {
  /**
   * A job of this sandbox, whether it runs or not.
   *
   * @param id as {@link Job.id} and {@link listJobs} tell it
   * @throws JobNotFoundError, SandboxNotFoundError, IoError
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("get-job-example").image("localhost/base").replace().create();
   * const { id } = await sandbox.execDetached("sleep", ["1000"]);
   * const job = await sandbox.getJob(id);
   * await job.kill();
   * console.log((await job.wait()).code); // prints 137
   * ```
   */
  async getJob(id: string, options: WaitOptions = {}): Promise<Job> {
    return await this.control.run(`look up job ${id} of sandbox`, options, async (operation) => {
      const [{ Job }, { findJob }] = await Promise.all([import("./job.ts"), import("./job-info.ts")]);
      const { record } = await operation.wait(findJob(this.control, id));
      return new Job(this.control, record.id);
    });
  }

  /**
   * The jobs of this sandbox, oldest first, whether it runs or not: those that run and the last 256 that have ended, of all its runs.
   *
   * @throws SandboxNotFoundError, IoError
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("jobs-example").image("localhost/base").replace().create();
   * await (await sandbox.execDetached("true")).wait();
   * for (const { state, command } of await sandbox.listJobs()) console.log(state, command.join(" ")); // prints exited true
   * ```
   */
  async listJobs(options: WaitOptions = {}): Promise<JobInfo[]> {
    return await this.control.run("list the jobs of sandbox", options, async (operation) => {
      const { findJobs, jobInfo } = await import("./job-info.ts");
      return (await operation.wait(findJobs(this.control))).map(jobInfo);
    });
  }
}
