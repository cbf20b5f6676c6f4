import type { ExecMessage } from "../../protocol/generated/messages.ts";
import type { ServiceRegistry } from "./registry.ts";
import type { ClientStream, Session } from "./session.ts";

/** What the sandbox does about commands. */
export interface CommandServices {
  /** @throws SandboxNotRunningError; RuntimeError when the sandbox takes no more commands */
  exec(request: ExecMessage, client: ClientStream): Session;
}

export function registerCommands(registry: ServiceRegistry, services: CommandServices): void {
  registry.stream("Exec", (request, stream) => services.exec(request, stream).clientHandler);
}
