import { Sandbox } from "../../api/index.ts";
import type { AllowedPaths } from "../host/allowed-paths.ts";
import { mountedPaths } from "../host/stored-paths.ts";

/** Sandboxes that end with this server: the host sees to that even when it is killed, but for children and copies. */
export class OwnedSandboxes {
  readonly #owned = new Map<string, Sandbox>();
  /** Copies belong to nobody from the start, so it is the server that has to remove them. */
  readonly #copies = new Map<string, Sandbox>();
  readonly #paths: AllowedPaths;

  constructor(paths: AllowedPaths) {
    this.#paths = paths;
  }

  add(sandbox: Sandbox): void {
    this.#owned.set(sandbox.id, sandbox);
  }

  addCopy(sandbox: Sandbox): void {
    this.#copies.set(sandbox.id, sandbox);
  }

  has(id: string): boolean {
    return this.#owned.has(id) || this.#copies.has(id);
  }

  /** It has ended, or is somebody else's. */
  async forget(id: string): Promise<void> {
    const sandbox = this.#owned.get(id) ?? this.#copies.get(id);
    this.#owned.delete(id);
    this.#copies.delete(id);
    await sandbox?.[Symbol.asyncDispose]();
  }

  /** Does something with a sandbox that runs, over a connection of its own. @throws as {@link connect} */
  async use<T>(name: string, signal: AbortSignal, work: (sandbox: Sandbox) => Promise<T>): Promise<T> {
    await using sandbox = await this.connect(name, signal);
    return await work(sandbox);
  }

  /**
   * To a sandbox whose programs have no files of the host before them but those that are allowed, whoever made it.
   *
   * @throws ToolError; SandboxNotFoundError, SandboxNotRunningError
   */
  async connect(name: string, signal: AbortSignal): Promise<Sandbox> {
    const handle = await Sandbox.get(name, { signal });
    for (const path of mountedPaths(handle.config())) await this.#paths.check(path);
    return await handle.connect({ signal });
  }

  /** Ends them. Never throws. */
  async close(): Promise<void> {
    const copies = [...this.#copies.values()].map((copy) => copy.destroy({ force: true }));
    const owned = [...this.#owned.values()].map((sandbox) => sandbox[Symbol.asyncDispose]());
    await Promise.allSettled([...copies, ...owned]);
    for (const copy of this.#copies.values()) await copy[Symbol.asyncDispose]();
  }
}
