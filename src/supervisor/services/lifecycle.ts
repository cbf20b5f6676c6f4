import type { CapturedMessage, CaptureMessage, PausedCalls } from "../../protocol/generated/messages.ts";
import type { CaptureCost } from "./guest/capture-guest.ts";
import type { ServiceRegistry } from "./registry.ts";

/** What the sandbox does about its life. */
export interface LifecycleServices {
  ping(): Promise<void>;
  touch(): number;
  detach(): void;
  pause(calls: PausedCalls, flush: boolean): Promise<void>;
  resume(): Promise<void>;
  suspend(): Promise<void>;
  capture(copy: Omit<CaptureMessage, "type">): Promise<CaptureCost>;
  makeCheckpoint(name: string, flush: boolean): Promise<CaptureCost>;
  rollBack(checkpoint: string): Promise<void>;
  stop(graceMs: number): void;
  kill(): void;
  drain(): Promise<void>;
  discard(): Promise<void>;
}

export function registerLifecycle(registry: ServiceRegistry, services: LifecycleServices): void {
  const done = { type: "Done" } as const;
  registry.request("Ping", async ({ nonce }) => {
    await services.ping();
    return { type: "Pong", nonce };
  });
  registry.request("Touch", () => ({ type: "Touched", activitySequence: services.touch() }));
  registry.request("Detach", () => {
    services.detach();
    return done;
  });
  registry.request("Pause", async ({ calls, flush }) => {
    await services.pause(calls, flush);
    return done;
  });
  registry.request("Resume", async () => {
    await services.resume();
    return done;
  });
  registry.request("Suspend", async () => {
    await services.suspend();
    return done;
  });
  registry.request("Capture", async (copy) => {
    return captured(await services.capture(copy));
  });
  registry.request("MakeCheckpoint", async ({ name, flush }) => {
    return captured(await services.makeCheckpoint(name, flush));
  });
  registry.request("RollBack", async ({ checkpoint }) => {
    await services.rollBack(checkpoint);
    return done;
  });
  registry.request("Stop", ({ graceMs }) => {
    services.stop(graceMs);
    return done;
  });
  registry.request("Kill", () => {
    services.kill();
    return done;
  });
  registry.request("Drain", async () => {
    await services.drain();
    return done;
  });
  registry.request("Discard", async () => {
    await services.discard();
    return done;
  });
}

function captured({ heldMs, ownBytes }: CaptureCost): CapturedMessage {
  return { type: "Captured", heldMs: Math.round(heldMs), ownBytes };
}
