import type { GuestFlush } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { ServiceRegistry } from "./registry.ts";

/** What the sandbox does for whoever copies its disk. */
export interface DiskServices {
  /** @throws SandboxNotRunningError */
  holdDisk(flush: GuestFlush, client: Stream): StreamHandler;
}

export function registerDisk(registry: ServiceRegistry, services: DiskServices): void {
  registry.stream("HoldDisk", ({ flush }, stream) => services.holdDisk(flush, stream));
}
