import type { EndedMessage, SandboxState } from "../../protocol/generated/messages.ts";
import type { ServiceRegistry } from "./registry.ts";
import { Subscription } from "./subscription.ts";

/** What the sandbox tells of its state. */
export interface StateServices {
  readonly state: SandboxState;
  /** Calls back when the state has changed and is on disk. @returns stops that */
  watchState(changed: () => void): () => void;
  /** Calls back once, when the sandbox has ended, or soon when it has already. @returns stops that */
  onEnded(callback: (ended: EndedMessage) => void): () => void;
}

export function registerStates(registry: ServiceRegistry, services: StateServices): void {
  registry.subscription("WatchState", (_opening, stream) => {
    let lastSent: SandboxState | null = null;
    const subscription: Subscription = new Subscription({
      stream,
      produce: () => {
        if (services.state === lastSent) return null;
        lastSent = services.state;
        return { type: "StateChanged", state: lastSent };
      },
      over: () => {
        ignoreState();
        ignoreEnd();
      },
    });
    const ignoreState = services.watchState(() => {
      subscription.offer();
    });
    const ignoreEnd = services.onEnded((ended) => {
      subscription.end(ended);
    });
    subscription.offer();
    return subscription;
  });
}
