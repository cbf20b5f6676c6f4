import { InvalidConfigError } from "../../../errors/index.ts";
import { isEventName, mostDataBytes } from "../../../protocol/event-records.ts";
import type { TellInsideMessage, ToldInsideMessage } from "../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../protocol/stream.ts";
import type { ServiceRegistry } from "../registry.ts";

/** What the sandbox does about events. */
export interface EventServices {
  watchEvents(names: readonly string[], client: Stream): StreamHandler;
  /** @throws SandboxNotRunningError; RuntimeError when too much is under way */
  tellInside(event: TellInsideMessage): Promise<ToldInsideMessage>;
}

/** One listener has no more names. */
const mostNames = 256;
const newline = 0x0a;

export function registerEvents(registry: ServiceRegistry, services: EventServices): void {
  registry.subscription("WatchEvents", ({ names }, stream) => {
    if (names.length > mostNames || !names.every(isEventName))
      throw new InvalidConfigError("the names to listen for are too many, or none", {
        hint: `Give at most ${mostNames}, each of 1 to 128 bytes.`,
      });
    return services.watchEvents(names, stream);
  });
  registry.request("TellInside", async (event) => {
    // What programs of the guest read is a line.
    if (!isEventName(event.name) || event.data.length > mostDataBytes || event.data.includes(newline))
      throw new InvalidConfigError("the event has no name, or data that cannot be told");
    return await services.tellInside(event);
  });
}
