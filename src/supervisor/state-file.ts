import { writeState, type SandboxState } from "../store/state.ts";

/** The sandbox's state, in memory and in `state.json`. Writes follow each other in order; memory is ahead of the disk. */
export class StateFile {
  readonly #path: string;
  #state: SandboxState;
  #writing: Promise<void> = Promise.resolve();
  #isOnDisk = true;
  readonly #watchers = new Set<(state: SandboxState) => void>();

  constructor(path: string, state: SandboxState) {
    this.#path = path;
    this.#state = state;
  }

  get state(): SandboxState {
    return this.#state;
  }

  /**
   * True in memory at once; resolves when it is on disk, if it is to be there.
   *
   * @throws IoError when it cannot be written
   */
  change(change: Partial<SandboxState>): Promise<void> {
    const state = { ...this.#state, ...change, updatedAt: new Date().toISOString() };
    this.#state = state;
    const written = this.#writing.then(() => (this.#isOnDisk ? writeState(this.#path, state) : undefined));
    this.#writing = written.catch(() => undefined);
    void this.#writing.then(() => {
      for (const changed of this.#watchers) changed(state);
    });
    return written;
  }

  /** Has nothing written from now on: another sandbox's state may come to its place. Resolves when nothing is on its way there. */
  async leaveDisk(): Promise<void> {
    this.#isOnDisk = false;
    await this.#writing;
  }

  /** Calls back after each change, once it is on disk. @returns stops that */
  watch(changed: (state: SandboxState) => void): () => void {
    this.#watchers.add(changed);
    return () => {
      this.#watchers.delete(changed);
    };
  }
}

/** Of a sandbox that its supervisor has begun to start, listening for clients at that socket. */
export function startingState(supervisor: SandboxState["supervisor"], socket: string): Partial<SandboxState> {
  return {
    status: "starting",
    supervisor,
    socket,
    accelerator: null,
    start: null,
    ports: [],
    startedAt: new Date().toISOString(),
    endedAt: null,
    reason: null,
    detail: "",
    exitCode: null,
    signal: null,
  };
}
