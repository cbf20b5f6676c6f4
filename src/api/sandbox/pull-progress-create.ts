import { CustomError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { carryOut, prepareCreation, type Restoring } from "./create.ts";
import { observerCallbacks, type CreateObserver, type PullProgress } from "./progress.ts";
import type { Sandbox } from "./sandbox.ts";
import type { BesideConfig } from "../../config/sandbox/beside-config.ts";
import type { SandboxConfig } from "../../config/sandbox/sandbox-config.ts";

/**
 * The events of one pull, in order, each given out once. Whoever does not keep up gets the latest of a layer's progress
 * reports instead of all of them.
 */
export class PullProgressStream implements AsyncIterable<PullProgress> {
  readonly #events: PullProgress[] = [];
  readonly #waiting: PromiseWithResolvers<PullProgress | null>[] = [];
  #ended = false;

  /** The next event; null when the pull is done, whether well or not. */
  async recv(options: WaitOptions = {}): Promise<PullProgress | null> {
    const event = this.#events.shift();
    if (event !== undefined) return event;
    if (this.#ended) return null;
    return await Operation.run("wait for the progress of a pull", options, async (operation) => {
      const receiver = Promise.withResolvers<PullProgress | null>();
      this.#waiting.push(receiver);
      try {
        return await operation.wait(receiver.promise);
      } finally {
        // One who has given up must not take the next event from whoever asks after him.
        const place = this.#waiting.indexOf(receiver);
        if (place !== -1) this.#waiting.splice(place, 1);
      }
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PullProgress, void, undefined> {
    for (let event = await this.recv(); event !== null; event = await this.recv()) yield event;
  }

  /** @internal */
  push(event: PullProgress): void {
    const receiver = this.#waiting.shift();
    if (receiver !== undefined) {
      receiver.resolve(event);
      return;
    }
    const older = this.#events.findIndex((queued) => supersedes(event, queued));
    if (older === -1) this.#events.push(event);
    else this.#events[older] = event;
  }

  /** @internal */
  end(): void {
    this.#ended = true;
    for (const receiver of this.#waiting.splice(0)) receiver.resolve(null);
  }
}

function supersedes(event: PullProgress, older: PullProgress): boolean {
  const isReport = event.kind === "layerDownloadProgress" || event.kind === "layerMaterializeProgress";
  return isReport && older.kind === event.kind && older.layerIndex === event.layerIndex;
}

/**
 * A sandbox that is being created, and how the pull of its image goes on. The creation goes on whether anyone listens or
 * not.
 */
export class PullProgressCreate implements AsyncIterable<PullProgress> {
  readonly progress: PullProgressStream;
  #creation: Promise<Sandbox> | null;

  /** @internal */
  constructor(progress: PullProgressStream, creation: Promise<Sandbox>) {
    this.progress = progress;
    this.#creation = creation;
    // It is awaitSandbox that tells of a failure; a program that does not ask must not end by it.
    creation.catch(() => undefined);
  }

  [Symbol.asyncIterator](): AsyncGenerator<PullProgress, void, undefined> {
    return this.progress[Symbol.asyncIterator]();
  }

  /**
   * The sandbox, once it runs. To be called once, and again only when the wait for it was given up, which the creation does not
   * notice: what ends that are the options of `createWithPullProgress`.
   *
   * @throws ImageError, HttpError, BootStartError and what else creating throws; CustomError when it is called again
   */
  async awaitSandbox(options: WaitOptions = {}): Promise<Sandbox> {
    const creation = this.#creation;
    if (creation === null) {
      throw new CustomError("awaitSandbox() was called before", { hint: "Keep the sandbox that it gave." });
    }
    return await Operation.run("wait for the sandbox", options, async (operation) => {
      this.#creation = null;
      try {
        return await operation.wait(creation);
      } catch (error) {
        if (operation.signal.aborted) this.#creation = creation;
        throw error;
      }
    });
  }
}

/**
 * Begins a creation. The observer's `signal` and `timeoutMs` are for all of it, also after this has returned.
 *
 * @throws what {@link prepareCreation} throws; why it was given up before that was done
 */
export async function createWithPullProgress(
  config: SandboxConfig,
  beside: BesideConfig,
  attached: boolean,
  observer: CreateObserver,
  restoring?: Restoring,
): Promise<PullProgressCreate> {
  const progress = new PullProgressStream();
  const progressObserver: CreateObserver = {
    ...observer,
    onPullProgress: (event) => {
      progress.push(event);
      if (event.kind === "complete") progress.end();
      observer.onPullProgress?.(event);
    },
    // The VM's first stage: without an image to be pulled there is no other end.
    onProgress: (event) => {
      progress.end();
      observer.onProgress?.(event);
    },
  };
  const checked = Promise.withResolvers<undefined>();
  const creation = Operation.run(
    `create sandbox ${config.name}`,
    observer,
    async (operation) => {
      const prepared = await operation.wait(prepareCreation(config, beside, restoring));
      checked.resolve(undefined);
      return await carryOut(prepared, attached, operation, progressObserver);
    },
    observerCallbacks,
  ).finally(() => {
    progress.end();
  });
  // What is wrong with the configuration is told at once.
  creation.catch(checked.reject);
  await checked.promise;
  return new PullProgressCreate(progress, creation);
}
