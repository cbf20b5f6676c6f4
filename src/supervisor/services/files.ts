import type { Message } from "../../protocol/generated/messages.ts";
import { serviceOpenedBy } from "../../protocol/generated/services.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { ServiceRegistry } from "./registry.ts";

/** What the sandbox does about files. */
export interface FileServices {
  /** @throws SandboxNotRunningError; RuntimeError when too much is asked for at a time */
  files(request: Message, client: Stream): StreamHandler;
}

/** The services that the guest answers. */
const ofTheGuest: readonly string[] = [
  "file",
  "fileRead",
  "fileWrite",
  "treeSend",
  "treeReceive",
  "fileWatch",
];

export function registerFiles(registry: ServiceRegistry, services: FileServices): void {
  for (const [type, { name }] of serviceOpenedBy) {
    if (ofTheGuest.includes(name))
      registry.stream(type, (request, stream) => services.files(request, stream));
  }
}
