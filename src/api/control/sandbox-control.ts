import { checkOneOf } from "../../config/checks.ts";
import {
  GuestFlushes,
  isUp,
  PausedCallsKinds,
  type GuestFlush,
  type PausedCalls,
  type SandboxStatus,
} from "../../config/enums.ts";
import { MetricsDisabledError } from "../../errors/index.ts";
import type { OtherOptions } from "../../host/call-options.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import type { CaptureMessage } from "../../protocol/generated/messages.ts";
import { removeSandbox, type FoundSandbox } from "../../store/sandboxes.ts";
import { metricsFrom, type SandboxMetrics } from "../metrics/metrics.ts";
import { checkMs, defaultGraceMs, killWaitMs } from "./control-limits.ts";
import { endWithin, requestEnd } from "./end-sandbox.ts";
import { notRunning } from "./found-sandbox.ts";
import { SandboxLink } from "./sandbox-link.ts";
import type { SandboxStopResult } from "./stop-result.ts";
import { untilStatus, untilStopped } from "./wait-for-sandbox.ts";

export interface SandboxPingResult {
  readonly name: string;
  /** Round trip to the guest's agent, ms. */
  readonly latencyMs: number;
}

export interface SandboxTouchResult {
  readonly name: string;
  /** Grows with every activity of the sandbox. */
  readonly activitySeq: number;
}

/** How a sandbox is paused. */
export interface PauseOptions {
  /**
   * `required`: what its programs have written and its disks do not have yet is written first. `auto`, the default, and `skip` leave it in
   * its memory, which is kept.
   */
  readonly guestFlush?: GuestFlush | undefined;
  /** What becomes of calls that need the guest while it is paused: they `fail` (the default), `wait` for its end, or `wake` it. */
  readonly calls?: PausedCalls | undefined;
}

/** Its keys. */
export const pauseOptions = { guestFlush: "any", calls: "any" } as const;

/** Whoever pauses a sandbox whose disk is being copied, or lets it go on, waits for that. */
const changeMs = 120_000;
/** A memory of many gigabytes has to reach a slow disk. */
const longestCaptureMs = 600_000;

/** What can be done to a sandbox from outside of it, whoever started it. Shared by Sandbox and SandboxHandle. */
export class SandboxControl extends SandboxLink {
  /** Does something to the sandbox that its caller waits for. @param name as in `stop sandbox` */
  run<T>(
    name: string,
    options: WaitOptions,
    work: (operation: Operation) => Promise<T>,
    others?: OtherOptions,
  ): Promise<T> {
    return Operation.run(`${name} ${this.name}`, options, work, others);
  }

  async ping(operation: Operation): Promise<SandboxPingResult> {
    return await this.use(operation, async () => {
      const begun = performance.now();
      await this.request(operation, { type: "Ping", nonce: 0 }, "Pong");
      return { name: this.name, latencyMs: performance.now() - begun };
    });
  }

  async touch(operation: Operation): Promise<SandboxTouchResult> {
    const { activitySequence } = await this.request(operation, { type: "Touch" }, "Touched");
    return { name: this.name, activitySeq: activitySequence };
  }

  /** @throws MetricsDisabledError */
  requireMetrics(): void {
    if (this.record.config.metricsSampleIntervalMs === 0) {
      throw new MetricsDisabledError(`sandbox ${this.name} was created without metrics`, {
        hint: "Create it without disableMetricsSample().",
      });
    }
  }

  async metrics(operation: Operation): Promise<SandboxMetrics> {
    this.requireMetrics();
    return metricsFrom(await this.request(operation, { type: "MetricsRequest" }, "Metrics"));
  }

  /**
   * Asks for the end and waits for it; what does not end in its grace is killed.
   *
   * @throws InvalidConfigError for a grace that is no time
   */
  async stop(operation: Operation, graceMs: number): Promise<SandboxStopResult> {
    const grace = checkMs("the grace", graceMs);
    operation.log(`grace ${grace} ms`);
    return await endWithin(this, operation, { type: "Stop", graceMs: grace }, grace + killWaitMs);
  }

  async requestStop(operation: Operation, graceMs: number): Promise<void> {
    await requestEnd(this, operation, { type: "Stop", graceMs: checkMs("the grace", graceMs) });
  }

  /**
   * Ends the VM at once and waits to see it end.
   *
   * @param waitMs what has not ended by then is killed together with its supervisor. A supervisor always gets the time it
   * needs to write down how its sandbox ended
   */
  async kill(operation: Operation, waitMs: number): Promise<SandboxStopResult> {
    const wait = checkMs("the time to wait", waitMs);
    // One that starts may have to be taken down in order.
    const starting = (await this.find().catch(() => null))?.status === "starting";
    const needed = starting ? defaultGraceMs + killWaitMs : killWaitMs;
    return await endWithin(this, operation, { type: "Kill" }, Math.max(wait, needed));
  }

  async requestKill(operation: Operation): Promise<void> {
    await requestEnd(this, operation, { type: "Kill" });
  }

  /**
   * Ends the VM of an ephemeral sandbox at once. From then on nobody finds it; its process ends when it has removed what is left.
   *
   * @throws RuntimeError when it does not run, or is none
   */
  async discard(operation: Operation): Promise<void> {
    await this.request(operation, { type: "Discard" }, "Done");
  }

  async requestDrain(operation: Operation): Promise<void> {
    const { status } = await this.find();
    if (isUp(status)) await this.request(operation, { type: "Drain" }, "Done");
    else if (status === "starting") throw notRunning(this.name, status);
  }

  async pause(operation: Operation, { guestFlush = "auto", calls = "fail" }: PauseOptions): Promise<void> {
    checkOneOf("calls", calls, PausedCallsKinds);
    const flush = checkOneOf("guestFlush", guestFlush, GuestFlushes) === "required";
    await this.request(operation, { type: "Pause", calls, flush }, "Done", changeMs);
  }

  /** Has the guest copied into a directory that is there, while it goes on. @param flush its disks get what they do not have yet before */
  async capture(operation: Operation, copy: Omit<CaptureMessage, "type">): Promise<void> {
    await this.request(operation, { type: "Capture", ...copy }, "Captured", longestCaptureMs);
  }

  /** Has the guest written down, and waits for the end of its machine. */
  async suspend(operation: Operation): Promise<void> {
    await this.request(operation, { type: "Suspend" }, "Done", longestCaptureMs);
    await this.waitUntilStopped(operation);
  }

  async resume(operation: Operation): Promise<void> {
    await this.request(operation, { type: "Resume" }, "Done", changeMs);
  }

  /** Resolves when the sandbox has ended, or at once when it does not run. Never ends it. */
  waitUntilStopped(operation: Operation): Promise<SandboxStopResult> {
    return untilStopped(this, operation);
  }

  /** Resolves when the sandbox has this status. */
  waitForStatus(operation: Operation, status: SandboxStatus): Promise<FoundSandbox> {
    return untilStatus(this, operation, status);
  }

  remove(): Promise<void> {
    return removeSandbox(this.home, this.name, this.id);
  }
}
