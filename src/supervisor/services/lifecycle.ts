import type { ServiceRegistry } from "./registry.ts";

/** What the sandbox does about its life. */
export interface LifecycleServices {
  ping(): Promise<void>;
  touch(): number;
  detach(): void;
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
