import type { JobAccess, StartJobMessage } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { ServiceRegistry } from "./registry.ts";

/** What the sandbox does about commands that nobody holds. */
export interface JobServices {
  /** @throws SandboxNotRunningError; RuntimeError when the sandbox takes no more commands */
  startJob(request: StartJobMessage, client: Stream): StreamHandler;
  /** @throws JobNotFoundError, SandboxNotRunningError, RuntimeError */
  attachJob(id: string, access: JobAccess, client: Stream): StreamHandler;
  /** Sends a signal, or, as 0, ends its standard input. @throws JobNotFoundError, SandboxNotRunningError */
  signalJob(id: string, signal: number): void;
}

export function registerJobs(registry: ServiceRegistry, services: JobServices): void {
  registry.stream("StartJob", (request, stream) => services.startJob(request, stream));
  registry.stream("AttachJob", ({ id, access }, stream) => services.attachJob(id, access, stream));
  registry.request("SignalJob", ({ id, signal }) => {
    services.signalJob(id, signal);
    return { type: "Done" };
  });
}
