import { draftFromConfig, type SandboxConfigInput } from "../../config/sandbox/config-object.ts";
import { hostnameFor } from "../../config/sandbox/effective-config.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";
import type { SecretMaterial } from "../../config/network/interception/secret-material.ts";
import type { StoredSecrets } from "../../store/secret-file.ts";
import { joinPairs } from "../../config/pairs.ts";
import { checkSandboxName } from "../../config/sandbox-name.ts";
import { checkEnvSize } from "../../config/env.ts";
import { MicrosandboxError, RuntimeError } from "../../errors/index.ts";
import { DirectoryChanges } from "../../host/files/directory-changes.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import type { Home } from "../../store/home.ts";
import { livingMembers } from "../../store/pools/members.ts";
import { findPool, membersWanted, noSuchPool, pointOf, type FoundPool } from "../../store/pools/pools.ts";
import { removePool } from "../../store/pools/remove-pool.ts";
import { newRecord, type SandboxRecord } from "../../store/sandbox-record.ts";
import { nameExists, nameTaken, newSandboxId } from "../../store/sandboxes.ts";
import { secretsOfCopy } from "../fork/fork-secrets.ts";
import { startFromCapture } from "../fork/start-from-capture.ts";
import { noParts, type ProgramParts } from "../providers/program-parts.ts";
import { observed } from "../sandbox/observed.ts";
import type { CreateObserver } from "../sandbox/progress.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import type { StartedSandbox } from "../sandbox/start.ts";
import { spawnMember } from "../setup/supervisor-process.ts";
import { remakePoint, type PoolSource } from "./make-pool.ts";
import { memberName, takeOptions, takenSettings, type TakeOptions } from "./pool-options.ts";
import type { PoolOwner } from "./pool-owner.ts";
import { isOfTheMember, takeMember } from "./take.ts";

/** When so many have failed one after the other, none is going to start. */
const mostFailures = 3;

/** How a pool is. */
export interface PoolStatus {
  readonly name: string;
  /** How many sandboxes were asked for. */
  readonly size: number;
  /** So many are kept ready: fewer than the size where `maxMemory` has room for no more. */
  readonly wanted: number;
  /** So many can be taken now. */
  readonly ready: number;
  /** So many are being started. */
  readonly starting: number;
}

/** Whoever has just taken one begins with it: what is missing is looked for after that, ms. */
const refillDelayMs = 400;
/** Where no event tells of a change, such as a process that was killed, look this often, ms. */
const recheckMs = 500;

/**
 * Sandboxes that are started ahead, all copies of one that was warmed: each stands still, and costs no processor time, until it is taken.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using pool = await Sandbox.pool({
 *   config: { image: "localhost/base" },
 *   size: 2,
 *   warm: (sandbox) => sandbox.shell("echo warm > /tmp/state"),
 * });
 * await using sandbox = await pool.take({ env: { WHO: "me" } });
 * console.log((await sandbox.shell("cat /tmp/state")).stdout()); // prints warm
 * ```
 */
export class SandboxPool implements AsyncDisposable {
  readonly name: string;
  /** Identifies this pool among all that ever had its name. */
  readonly id: string;
  /** How many sandboxes are to be ready. */
  readonly size: number;
  readonly #home: Home;
  readonly #source: PoolSource;
  readonly #owner: PoolOwner | null;
  #found: FoundPool;
  /** So many that were started here have failed since one was ready. */
  #failures = 0;

  /** @internal */
  constructor(home: Home, found: FoundPool, source: PoolSource, owner: PoolOwner | null) {
    this.#home = home;
    this.#found = found;
    this.#source = source;
    this.#owner = owner;
    this.name = found.record.name;
    this.id = found.record.id;
    this.size = found.record.size;
  }

  /**
   * Takes a sandbox: one that is ready, or, when there is none, one that is started now, from the same state. It has a name, a host name, a
   * machine id and random numbers of its own, and ends with this process unless it is detached. Another one takes its place in the pool.
   *
   * @throws SandboxAlreadyExistsError, InvalidConfigError for settings and for a secret without a value; PoolNotFoundError when the pool was
   *   removed; UnsupportedOperationError when it has to be warmed again, and only another program can; what a start throws
   */
  async take(options: TakeOptions = {}): Promise<Sandbox> {
    const name = options.name ?? memberName(this.name);
    return await Operation.run(
      `take a sandbox from pool ${this.name}`,
      options,
      async (operation) => {
        checkSandboxName(name);
        const { config } = this.#found.record;
        takenConfig(name, config, options);
        const what = `a sandbox of the pool ${this.name}`;
        const known = this.#source.beside.secrets;
        const secrets = await secretsOfCopy(what, config, options.secrets, known, storedIn(known));
        const parts: ProgramParts = { ...noParts, secrets };
        const attached = options.detached !== true;
        const observer = observed(operation, observerOf(options));
        // The pool may be made anew before there is one.
        const recordFor = (id: string): SandboxRecord =>
          newRecord({
            ...{ id, name, createdAt: new Date().toISOString() },
            config: takenConfig(name, this.#found.record.config, options),
          });
        const taking = { home: this.#home, poolId: this.id, recordFor, parts, attached, observer };
        const member = await takeMember(this.#found.paths, taking);
        if (member !== null) {
          this.#refillSoon();
          return sandboxOf(member, attached);
        }
        operation.log("none is ready");
        return sandboxOf(
          await this.#startNow(name, recordFor, parts, attached, operation, observer),
          attached,
        );
      },
      takeOptions,
    );
  }

  /** How many are ready. Those that have died are replaced. @throws PoolNotFoundError, IoError */
  async status(options: WaitOptions = {}): Promise<PoolStatus> {
    return await Operation.run(`look at pool ${this.name}`, options, (operation) =>
      operation.wait(this.#refill(0)),
    );
  }

  /**
   * Waits until as many are ready as are to be. Where none can be started from the pool's state any more, that is made anew, as for a taker.
   *
   * @throws PoolNotFoundError, IoError; RuntimeError when they do not start all the same; as {@link take} when the state cannot be made anew
   */
  async ready(options: WaitOptions = {}): Promise<PoolStatus> {
    return await Operation.run(`wait for pool ${this.name}`, options, async (operation) => {
      using changes = new DirectoryChanges([this.#found.paths.members], recheckMs);
      let isRemade = false;
      this.#failures = 0;
      for (;;) {
        const status = await operation.wait(this.#refill(0));
        if (status.ready >= status.wanted) return status;
        if (this.#failures >= mostFailures) {
          if (isRemade) throw this.#notStarting();
          isRemade = true;
          operation.log("its sandboxes do not start: their state is made anew");
          const observer = observed(operation, {});
          this.#found = await remakePoint(
            this.#home,
            await this.#findAgain(),
            this.#source,
            operation,
            observer,
          );
          this.#failures = 0;
          continue;
        }
        operation.log(`${status.ready} of ${status.wanted} are ready`);
        await operation.wait(changes.next());
      }
    });
  }

  /**
   * Removes the pool, for all programs that use it: what is ready ends. Sandboxes that were taken go on. Again does nothing.
   *
   * @throws RuntimeError, IoError
   */
  async close(options: WaitOptions = {}): Promise<void> {
    await Operation.run(`close pool ${this.name}`, options, async (operation) => {
      try {
        await operation.wait(removePool(this.#home, this.name, this.id));
      } catch (error) {
        if (!(error instanceof MicrosandboxError) || error.code !== "poolNotFound") throw error;
      }
      this.#owner?.end();
    });
  }

  /** Closes a pool that ends with this program; one that has a name stays. Never fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#owner !== null) await this.close().catch(() => undefined);
  }

  /** @internal Starts what is missing, with so many on their way already. */
  async fill(): Promise<void> {
    await this.#refill(0);
  }

  async #startNow(
    name: string,
    recordFor: (id: string) => SandboxRecord,
    parts: ProgramParts,
    attached: boolean,
    operation: Operation,
    observer: CreateObserver,
  ): Promise<StartedSandbox> {
    if (await nameExists(this.#home, name)) throw await nameTaken(this.#home, name);
    this.#found = await this.#findAgain();
    const start = async (): Promise<StartedSandbox> =>
      await startFromCapture({
        ...{ home: this.#home, record: recordFor(newSandboxId()), directory: pointOf(this.#found) },
        ...{ notify: null, parts, attached, observer },
      });
    try {
      const started = await start();
      await this.#refill(0).catch(() => undefined);
      return started;
    } catch (error) {
      operation.throwIfOver();
      if (!isOfTheMember(error)) throw error;
      operation.log(`the copy does not work: ${error.message}`);
      this.#found = await remakePoint(this.#home, this.#found, this.#source, operation, observer);
    }
    const started = await start();
    await this.#refill(0).catch(() => undefined);
    return started;
  }

  #notStarting(): RuntimeError {
    return new RuntimeError(`the sandboxes of the pool ${this.name} do not start`, {
      hint: `${this.#found.paths.log} says why. "msb doctor" looks at this host.`,
    });
  }

  /** @param coming so many are about to be started by others */
  async #refill(coming: number): Promise<PoolStatus> {
    const found = await this.#findAgain();
    const { paths, record } = found;
    const living = await livingMembers(this.#home, paths);
    const wanted = membersWanted(record);
    const hidden = { names: envSources(record.config), values: [] };
    const failed = (): void => {
      this.#failures++;
    };
    for (let missing = wanted - living.length - coming; missing > 0; missing--)
      await spawnMember(this.#home, record.name, paths.log, hidden, failed);
    const ready = living.filter(({ isReady }) => isReady).length;
    if (ready > 0) this.#failures = 0;
    return { name: record.name, size: record.size, wanted, ready, starting: Math.max(0, wanted - ready) };
  }

  /** The one that was taken starts another; members that have died are found here. A program that ends by then leaves it to the next one. */
  #refillSoon(): void {
    const timer = setTimeout(() => {
      this.#refill(1).catch(() => undefined);
    }, refillDelayMs);
    timer.unref();
  }

  /** @throws PoolNotFoundError, also when it is another one now */
  async #findAgain(): Promise<FoundPool> {
    const found = await findPool(this.#home, this.name);
    if (found.record.id !== this.id) throw noSuchPool(this.name);
    return found;
  }
}

/** The settings of one that is taken. @throws InvalidConfigError */
function takenConfig(name: string, pool: StoredConfig, options: TakeOptions): StoredConfig {
  const given: Record<string, unknown> = { name, image: "localhost/base" };
  for (const key of takenSettings) if (options[key] !== undefined) given[key] = options[key];
  const own = draftFromConfig(given as unknown as SandboxConfigInput).finish();
  const env = joinPairs(pool.env, own.env);
  checkEnvSize(env, pool.rlimits);
  return {
    ...pool,
    hostname: hostnameFor(name),
    env,
    labels: { ...pool.labels, ...own.labels },
    ports: options.ports === undefined ? pool.ports : own.ports,
    maxDurationSecs: own.maxDurationSecs ?? pool.maxDurationSecs,
    idleTimeoutSecs: own.idleTimeoutSecs ?? pool.idleTimeoutSecs,
    idlePauseSecs: own.idlePauseSecs ?? pool.idlePauseSecs,
    ephemeral: options.ephemeral === true,
  };
}

/** The values that this program has given, as far as they are any. */
function storedIn(known: SecretMaterial): StoredSecrets {
  const values = [...known].map(([envVar, given]) => [envVar, given.reveal()] as const);
  return new Map(values.filter((pair): pair is [string, string] => typeof pair[1] === "string"));
}

/** Variables of this program's environment that have values of secrets. */
function envSources({ network }: StoredConfig): string[] {
  return (network?.secrets ?? []).flatMap(({ source }) => (source.kind === "env" ? [source.var] : []));
}

function observerOf({ onProgress, onNotice, onStarted, onPullProgress }: CreateObserver): CreateObserver {
  return { onProgress, onNotice, onStarted, onPullProgress };
}

// A class that names itself inside would lose its name in the bundle, and users see it.
function sandboxOf({ control, report }: StartedSandbox, attached: boolean): Sandbox {
  return new Sandbox(control, attached, report);
}
