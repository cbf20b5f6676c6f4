import { checkCheckpointName } from "../../config/sandbox-name.ts";
import { RuntimeError } from "../../errors/index.ts";
import { whyNotHere } from "../../start/inputs/same-host.ts";
import { makeCheckpoint, type CheckpointOwner } from "../../store/checkpoints/checkpoints.ts";
import {
  dropStagedRollback,
  readCheckpointCapture,
  stageRollback,
} from "../../store/checkpoints/stage-rollback.ts";
import type { Home } from "../../store/home.ts";
import type { FoundSandbox } from "../../store/sandboxes.ts";
import type { CaptureCost } from "../services/guest/capture-guest.ts";

/** It takes a hundredth of this to find out what the host has, unless something has to be made first, ms. */
const longestProbeMs = 30_000;

/** The checkpoints of a sandbox that runs. With them one thing is done after the other. */
export class Checkpoints {
  readonly #home: Home;
  readonly #sandbox: FoundSandbox;
  #last: Promise<void> = Promise.resolve();

  constructor(home: Home, sandbox: FoundSandbox) {
    this.#home = home;
    this.#sandbox = sandbox;
  }

  /**
   * @param capture copies the sandbox into the directory
   * @throws as {@link makeCheckpoint}
   */
  make(id: string, capture: (directory: string) => Promise<CaptureCost>): Promise<CaptureCost> {
    return this.#inTurn(async () => {
      checkCheckpointName(id);
      const cost = Promise.withResolvers<CaptureCost>();
      await makeCheckpoint(this.#owner, id, async (directory) => {
        cost.resolve(await capture(directory));
      });
      return await cost.promise;
    });
  }

  /**
   * Goes back to a checkpoint.
   *
   * @param goBack called when everything that it needs is there, and nothing is changed yet
   * @throws CheckpointNotFoundError; RuntimeError when this host is not as it was then; IoError: the sandbox goes on; what `goBack` throws
   */
  goBack(id: string, goBack: () => Promise<void>): Promise<void> {
    return this.#inTurn(async () => {
      checkCheckpointName(id);
      const suspended = await readCheckpointCapture(this.#owner, id);
      const subject = { ...this.#sandbox, home: this.#home };
      const why = await whyNotHere(subject, suspended, AbortSignal.timeout(longestProbeMs));
      if (why !== null)
        throw new RuntimeError(`${this.#what(id)}: ${why}`, { hint: "It goes on as it was." });
      try {
        await stageRollback(this.#owner, id);
        await goBack();
      } finally {
        await dropStagedRollback(this.#owner);
      }
    });
  }

  get #owner(): CheckpointOwner {
    const { record, paths } = this.#sandbox;
    return { name: record.name, directory: paths.directory };
  }

  #what(id: string): string {
    return `sandbox ${this.#sandbox.record.name} cannot go back to its checkpoint ${id}`;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }
}
