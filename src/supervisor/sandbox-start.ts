import type { BackgroundJob, HurriedMounts, StartRequest } from "../start/common/context.ts";
import { startGuest, type StartOutcome } from "../start/start.ts";
import type { StreamHandler } from "../protocol/stream.ts";
import type { Home } from "../store/home.ts";
import { holdMounts, type HeldMounts } from "../store/mounts/hold-mounts.ts";
import type { FoundSandbox } from "../store/sandboxes.ts";
import type { Client } from "./clients/client.ts";
import type { Logs } from "./logs/logs.ts";
import { OfferedNetwork } from "./offered-network.ts";
import type { BoundPort } from "../network/gateway.ts";
import type { NetworkSettings, SandboxNetwork } from "./services/network/sandbox-network.ts";

/** How long a guest that shuts down waits for an answer of the program that provides its files, ms. */
const longestLastRequestMs = 2_000;

/** What comes to run as the sandbox. */
export interface GuestSource {
  /** Resolves when the guest runs, or is held until it is told to go on. @throws what keeps it from that */
  start(request: StartRequest): Promise<StartOutcome>;
  /** It is not wanted any more. */
  abandon(): void;
}

export interface SandboxStartOptions {
  readonly home: Home;
  readonly sandbox: FoundSandbox;
  readonly guest: GuestSource;
  readonly logs: Logs;
  /** Its program may provide files. */
  readonly owner: Client;
  /** What is being done. */
  readonly progress: (stage: string) => void;
  readonly notice: (message: string) => void;
  /** Something to be done once the sandbox runs. */
  readonly background: (job: BackgroundJob) => void;
  /** The connection to the agent is over; null: it was closed. */
  readonly agentLost: (error: Error | null) => void;
  /** The sandbox is to end, for what it has sent. */
  readonly terminate: (reason: string) => void;
  /** Has the ports written down where those look for them who do not ask. */
  readonly portsChanged: (ports: readonly BoundPort[]) => Promise<void>;
}

/** A guest that runs. */
export interface StartedGuest {
  readonly outcome: StartOutcome;
  /** null: it has none. */
  readonly network: SandboxNetwork | null;
}

/** How a sandbox comes to run, and what it gets hold of for that until its end: its mounts, its ports, files of its owner's program. */
export class SandboxStart {
  readonly #options: SandboxStartOptions;
  #heldMounts: HeldMounts | null = null;
  /** Its ports are closed with its network, or at the end. */
  #offered: OfferedNetwork | null = null;
  /** What the owner's program provides. */
  #provided: HurriedMounts | null = null;

  constructor(options: SandboxStartOptions) {
    this.#options = options;
  }

  get ports(): readonly BoundPort[] {
    return this.#offered?.ports ?? [];
  }

  /** @throws what keeps the guest from running: {@link release} is to be called in any case */
  async run(signal: AbortSignal): Promise<StartedGuest> {
    const { home, sandbox, guest, logs, owner, terminate } = this.#options;
    // Somebody else may have got hold of them since it was asked for.
    this.#heldMounts = await holdMounts(home, sandbox.record.config);
    this.#offered = await OfferedNetwork.offer(
      {
        ...{ ...sandbox, home, terminate, runtimeLog: logs.runtime },
        ask: (message, over) => owner.ask(message, over),
        converse: (opening, handler, over) => owner.converse(opening, handler, over),
      },
      signal,
    );
    return await this.#start((request) => guest.start(request), signal);
  }

  /**
   * Another guest of the same sandbox, whose first one has ended: what it had got hold of it still has.
   *
   * @param network that of the first, as it was before it ended; null: it had none
   * @throws as {@link run}
   */
  async runAgain(network: NetworkSettings | null, signal: AbortSignal): Promise<StartedGuest> {
    if (network !== null) this.#offered = (await this.#offered?.again(network)) ?? null;
    const qemu = { kind: "none", reason: "the sandbox runs already", isOtherVersion: false } as const;
    return await this.#start((request) => startGuest(request, { rawHandover: null, qemu }), signal);
  }

  async #start(start: GuestSource["start"], signal: AbortSignal): Promise<StartedGuest> {
    const outcome = await this.#startGuest(start, signal);
    const network = (await this.#offered?.open(outcome.started, this.#options.portsChanged)) ?? null;
    return { outcome, network };
  }

  /** The guest shuts down: processes that wait for the owner's files are to end, and what is written when all is unmounted. */
  hurry(graceMs: number): void {
    this.#provided?.hurry(Math.min(longestLastRequestMs, graceMs / 4));
  }

  /** The sandbox has ended, or did not come to run. */
  async release(): Promise<void> {
    await this.#heldMounts?.release();
    await this.#offered?.[Symbol.asyncDispose]();
  }

  async #startGuest(start: GuestSource["start"], signal: AbortSignal): Promise<StartOutcome> {
    const { home, sandbox, logs, owner, progress, notice, background, agentLost } = this.#options;
    const request = {
      ...{ home, record: sandbox.record, paths: sandbox.paths, signal },
      ...{ runtimeLog: logs.runtime, kernelLog: logs.kernel },
      ...{ progress, notice, background, agentLost },
      programFiles: {
        open: (path: string, handler: StreamHandler) => owner.provideFiles(path, handler),
        served: (mounts: HurriedMounts) => {
          this.#provided = mounts;
        },
      },
    };
    return await start(request);
  }
}
