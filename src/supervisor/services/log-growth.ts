import type { EndedMessage } from "../../protocol/generated/messages.ts";
import type { ServiceRegistry } from "./registry.ts";
import { Subscription } from "./subscription.ts";

/** What the sandbox tells of its logs. */
export interface LogServices {
  /** Calls back when more of them is in their files. @returns stops that */
  watchLogs(changed: () => void): () => void;
  /** Calls back once, when the sandbox has ended, or soon when it has already. @returns stops that */
  onEnded(callback: (ended: EndedMessage) => void): () => void;
}

export function registerLogs(registry: ServiceRegistry, services: LogServices): void {
  registry.subscription("WatchLogs", (_opening, stream) => {
    const subscription: Subscription = new Subscription({
      stream,
      produce: () => ({ type: "LogsChanged" }),
      over: () => {
        ignoreLogs();
        ignoreEnd();
      },
    });
    const ignoreLogs = services.watchLogs(() => {
      subscription.offer();
    });
    const ignoreEnd = services.onEnded((ended) => {
      subscription.end(ended);
    });
    // Whoever asks may have read the files before something came that he was not told of.
    subscription.offer();
    return subscription;
  });
}
