import { access } from "node:fs/promises";
import type { Duplex, Readable } from "node:stream";
import { RuntimeError } from "../../errors/index.ts";
import type { ProgramFiles, StartRequest } from "../../start/common/context.ts";
import type { Subject } from "../../start/inputs/probe.ts";
import { startHeld } from "../../start/held.ts";
import type { StartOutcome } from "../../start/start.ts";
import type { Home } from "../../store/home.ts";
import { newRecord, type SandboxRecord } from "../../store/sandbox-record.ts";
import { pathsIn, type FoundSandbox, type SandboxPaths } from "../../store/sandboxes.ts";
import { initialState } from "../../store/state.ts";
import {
  fillMember,
  joinPool,
  removeMember,
  showMember,
  type MemberPlace,
} from "../../store/pools/members.ts";
import { pointOf, readPool, type FoundPool } from "../../store/pools/pools.ts";
import { removePool } from "../../store/pools/remove-pool.ts";
import { pathsOfCapture } from "../../store/suspension.ts";
import type { GuestSource } from "../sandbox-start.ts";
import { Supervisor } from "../supervisor.ts";
import { AdoptionPort, type Adoption } from "./adoption-port.ts";
import { poolOwnerGone } from "./pool-owner.ts";
import { rehearseCommand } from "./rehearse.ts";
import { spawnSuccessor } from "./successor.ts";

/** One that fails sooner than this may have a reason that its successor would have too, ms. */
const shortLifeMs = 1_000;
/** Whoever takes one begins with it at once: until then the processors are his, ms. */
const successorDelayMs = 300;

/** A sandbox of a pool: loaded, and standing still until somebody takes it. It is that one's sandbox from then on. */
export class PoolMember {
  readonly #home: Home;
  readonly #pool: FoundPool;
  readonly #place: MemberPlace;
  readonly #adopted = Promise.withResolvers<Adoption>();
  readonly #end = new AbortController();
  readonly #lines: { readonly level: "debug" | "info" | "warn"; readonly message: string }[] = [];
  #console: Readable | null = null;
  /** Whose sandbox it is. */
  #request: StartRequest | null = null;
  /** Until it is somebody's. */
  readonly #record: SandboxRecord;
  #paths: SandboxPaths;
  #port: AdoptionPort | null = null;
  #shownAtMs: number | null = null;
  #isTaken = false;

  private constructor(home: Home, pool: FoundPool, place: MemberPlace) {
    this.#home = home;
    this.#pool = pool;
    this.#place = place;
    this.#paths = place.paths;
    const { name, config } = pool.record;
    this.#record = newRecord({ id: place.id, name, createdAt: new Date().toISOString(), config });
  }

  /** Resolves at once when the pool needs no more members, or is gone; else when the sandbox has ended. @throws what keeps it from waiting */
  static async run(home: Home, name: string): Promise<void> {
    const pool = await readPool(home, name);
    const place = pool === null ? null : await joinPool(home, pool);
    if (pool !== null && place !== null) await new PoolMember(home, pool, place).#run();
  }

  async #run(): Promise<void> {
    const { lock } = this.#place;
    const { log } = this.#pool.paths;
    let outcome: Promise<StartOutcome>;
    let adoption: Adoption;
    try {
      await fillMember(this.#place, this.#pool, await this.#hasDisk());
      process.chdir(this.#paths.directory);
      outcome = startHeld(this.#requestOfNobody(), {
        paths: pathsOfCapture(pointOf(this.#pool)),
        rehearse: (agent) => rehearseCommand(agent, this.#record, this.#paths),
        adopted: () => this.#wait(),
      });
      adoption = await Promise.race([
        this.#adopted.promise,
        outcome.then(() => Promise.reject(new RuntimeError("it went on before anybody had taken it"))),
      ]);
    } catch (error) {
      this.#port?.close();
      await removeMember(this.#home, { id: this.#place.id, paths: this.#paths }).catch(() => undefined);
      await lock.release();
      const { signal } = this.#end;
      if (signal.aborted) await removePool(this.#home, this.#pool.record.name, this.#pool.record.id);
      else if (this.#port?.isOutdated === true) return;
      else if (this.#shownAtMs !== null && performance.now() - this.#shownAtMs > shortLifeMs)
        spawnSuccessor(log);
      throw error;
    }
    let hasSuccessor = false;
    const succeed = (): void => {
      if (!hasSuccessor) spawnSuccessor(log);
      hasSuccessor = true;
    };
    const timer = setTimeout(succeed, successorDelayMs);
    const { home, sandbox, owner, attached } = { home: this.#home, ...this.#sandboxOf(adoption) };
    const releaseLock = (): void => void lock.release();
    await Supervisor.run({ home, sandbox, owner, attached, guest: this.#guest(outcome), releaseLock });
    clearTimeout(timer);
    // Of one that was used for a moment only.
    succeed();
  }

  /** Its memory is loaded: from here on it can be taken. */
  async #wait(): Promise<Subject> {
    const { id } = this.#place;
    this.#paths = await showMember(this.#place, this.#pool.paths);
    const { isOwned, id: poolId } = this.#pool.record;
    const owner = isOwned ? poolOwnerGone(this.#home, poolId) : null;
    void owner?.gone.then(() => {
      if (!this.#isTaken) this.#end.abort(new RuntimeError("the program that made the pool has ended"));
    });
    const waiting = { id, paths: this.#paths, pool: this.#pool.record };
    this.#port = await AdoptionPort.open(this.#home, waiting);
    this.#shownAtMs = performance.now();
    const adoption = await Promise.race([this.#port.adoption, aborted(this.#end.signal)]);
    this.#isTaken = true;
    owner?.leave();
    this.#adopted.resolve(adoption);
    return { home: this.#home, record: adoption.record, paths: adoption.paths };
  }

  #sandboxOf({ record, paths, json, owner, attached }: Adoption): {
    sandbox: FoundSandbox;
    owner: Duplex;
    attached: boolean;
  } {
    const sandbox = { paths, record, configJson: json, state: initialState(), status: "created" } as const;
    return { sandbox, owner, attached };
  }

  #guest(outcome: Promise<StartOutcome>): GuestSource {
    return {
      start: (request) => {
        this.#request = request;
        for (const { level, message } of this.#lines) request.runtimeLog.write(level, message);
        if (this.#console !== null) request.kernelLog.follow(this.#console);
        request.signal.addEventListener("abort", () => {
          this.#end.abort(request.signal.reason);
        });
        return outcome;
      },
      abandon: () => {
        this.#end.abort(new RuntimeError("it is not wanted any more"));
      },
    };
  }

  #requestOfNobody(): StartRequest {
    return {
      ...{ home: this.#home, record: this.#record, paths: this.#paths, signal: this.#end.signal },
      runtimeLog: {
        write: (level, message) => {
          if (this.#request === null) this.#lines.push({ level, message });
          else this.#request.runtimeLog.write(level, message);
        },
      },
      kernelLog: {
        // It stands still, and writes nothing.
        follow: (console) => (this.#console = console),
        lastLines: (count) => this.#request?.kernelLog.lastLines(count) ?? "",
      },
      progress: (stage) => this.#request?.progress(stage),
      notice: (message) => this.#request?.notice(message),
      background: (job) => this.#request?.background(job),
      agentLost: (error) => this.#request?.agentLost(error),
      programFiles: noFiles,
    };
  }

  async #hasDisk(): Promise<boolean> {
    return await access(pathsIn(pointOf(this.#pool)).upper).then(
      () => true,
      () => false,
    );
  }
}

/** A pool is not made with such mounts. */
const noFiles: ProgramFiles = {
  open: () => {
    throw new RuntimeError("a sandbox of a pool has no files of a program");
  },
  served: () => undefined,
};

async function aborted(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  return await new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });
}
