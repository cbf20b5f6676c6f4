import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import { SandboxBuilder } from "../config/sandbox-builder.ts";
import { locateHome } from "../../store/home.ts";
import { RestoreBuilder } from "../snapshots/restore/restore-builder.ts";
import { checkSandboxName } from "../../config/sandbox-name.ts";
import { removeSandbox } from "../../store/sandboxes.ts";
import type { PoolOptions } from "../pool/pool-options.ts";
import type { SandboxPool } from "../pool/pool.ts";
import { createSandbox } from "./create.ts";
import type { SandboxListBuilder, SandboxPage } from "./list-builder.ts";
import { findHandle, listHandles, listPage, type ListedSandboxes } from "./list.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { checkCallOptions } from "../../host/call-options.ts";
import type { CreateObserver } from "./progress.ts";
import { startOptions, type StartOptions } from "./start.ts";
import { Sandbox as SandboxObject, type SandboxHandle } from "./sandbox.ts";
import { withStatics } from "../with-statics.ts";

/** The ways to get a sandbox. They are apart from its class because they need what makes sandboxes, which needs the class. */
const statics = {
  /** Begins a new sandbox. What is wrong with the name is reported by `build()` and `create()`. */
  builder(name: string): SandboxBuilder {
    return new SandboxBuilder(name);
  },

  /** Creates and boots a sandbox that this process owns. @throws as `SandboxBuilder.create` */
  async create(config: SandboxConfigInput, observer: CreateObserver = {}): Promise<Sandbox> {
    const draft = draftFromConfig(config);
    const checked = draft.finish();
    return await createSandbox(checked, draft.beside, !checked.detached, observer);
  },

  /** Creates and boots a sandbox that goes on after this process. @throws as `SandboxBuilder.create` */
  async createDetached(config: SandboxConfigInput, observer: CreateObserver = {}): Promise<Sandbox> {
    const draft = draftFromConfig(config);
    return await createSandbox(draft.finish(), draft.beside, false, observer);
  },

  /** Finds a sandbox, running or not. @throws SandboxNotFoundError, InvalidConfigError for a name that none can have */
  async get(name: string, options: WaitOptions = {}): Promise<SandboxHandle> {
    return await findHandle(name, options);
  },

  /** All sandboxes, newest first. */
  async list(options: WaitOptions = {}): Promise<ListedSandboxes> {
    return await listHandles(options);
  },

  /** Some of the sandboxes, newest first: filtered by labels, page by page. @throws InvalidCursorError, InvalidConfigError */
  async listWith(
    configure: (list: SandboxListBuilder) => SandboxListBuilder,
    options: WaitOptions = {},
  ): Promise<SandboxPage> {
    return await listPage(configure, options);
  },

  /**
   * Begins a sandbox that goes on where a snapshot with memory was taken (`Snapshot.builder(…).full()`), or boots from the disk of another.
   *
   * @param snapshot its name, path (with a slash) or digest, or itself
   */
  restore(snapshot: string | { readonly path: string }): RestoreBuilder {
    return new RestoreBuilder(snapshot);
  },

  /** Removes a sandbox that does not run, and all its state. @throws SandboxNotFoundError, SandboxStillRunningError */
  async remove(name: string, options: WaitOptions = {}): Promise<void> {
    checkSandboxName(name);
    await Operation.run(`remove sandbox ${name}`, options, (operation) =>
      operation.wait(removeSandbox(locateHome(), name, null)),
    );
  },

  /**
   * Makes a pool of sandboxes that are started ahead, all copies of one that was warmed; or finds the one of this name that was made in the
   * same way. It can be taken from at once: what is not ready yet is started then.
   *
   * @throws PoolAlreadyExistsError for one that was made otherwise; UnsupportedOperationError for a configuration with files of the host, or
   *   functions of this program; what creating a sandbox throws, and what `warm` throws: there is no pool then
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using pool = await Sandbox.pool({ config: { image: "localhost/base" }, size: 1 });
   * await using sandbox = await pool.take();
   * console.log((await sandbox.shell("echo taken")).stdout()); // prints taken
   * ```
   */
  async pool(options: PoolOptions): Promise<SandboxPool> {
    return await (await import("../pool/entry.ts")).createPool(options);
  },

  /** Finds a pool that was made with a name. @throws PoolNotFoundError; InvalidConfigError for a name that none can have */
  async getPool(name: string, options: WaitOptions = {}): Promise<SandboxPool> {
    return await (await import("../pool/entry.ts")).getPool(name, options);
  },

  /** All pools, by their names. What cannot be read is passed over. */
  async listPools(options: WaitOptions = {}): Promise<SandboxPool[]> {
    return await (await import("../pool/entry.ts")).listPools(options);
  },

  /** Removes a pool, as {@link SandboxPool.close} does. @throws PoolNotFoundError, RuntimeError, IoError */
  async removePool(name: string, options: WaitOptions = {}): Promise<void> {
    await (await import("../pool/entry.ts")).removePoolNamed(name, options);
  },

  /** Boots a stopped sandbox again; this process owns it. @throws SandboxStillRunningError, SandboxNotFoundError, BootStartError */
  async start(name: string, options: StartOptions = {}): Promise<Sandbox> {
    return await (await findHandle(name, waitOf(options))).start(options);
  },

  /** Boots a stopped sandbox again; it goes on after this process. @throws as {@link start} */
  async startDetached(name: string, options: StartOptions = {}): Promise<Sandbox> {
    return await (await findHandle(name, waitOf(options))).startDetached(options);
  },
};

/** Of a start, whose other options are looked at before the sandbox is. */
function waitOf(options: StartOptions): WaitOptions {
  checkCallOptions("start sandbox", options, startOptions);
  const { signal, timeoutMs } = options;
  return { signal, timeoutMs };
}

/**
 * A sandbox: a virtual machine with its own kernel and file system, in which commands are run.
 *
 * One that was created or started here is *attached*: this process owns it, and when the process ends, however it ends,
 * so does the sandbox. `createDetached()`, `startDetached()` and `detach()` let it go on.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("hello").image("localhost/base").replace().create();
 * const output = await sandbox.exec("uname", ["-sr"]);
 * console.log(output.stdout());
 * ```
 */
export const Sandbox: typeof SandboxObject & typeof statics = withStatics(SandboxObject, statics);
export type Sandbox = SandboxObject;
