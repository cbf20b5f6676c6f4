import type { EndedMessage, NetworkStatusMessage } from "../../../protocol/generated/messages.ts";
import type { NetworkLog } from "../../logs/network-log.ts";
import type { ServiceRegistry } from "../registry.ts";
import { Subscription } from "../subscription.ts";
import { GuestRelay, type GuestDoor } from "./guest-relay.ts";

/** A running sandbox's network. */
export interface NetworkControl extends GuestDoor {
  readonly log: Pick<NetworkLog, "next" | "flush" | "watchLines">;
  /** @param flows whether those that are open are wanted */
  status(flows: boolean): NetworkStatusMessage;
  /**
   * @param change JSON
   * @param persist whether later runs begin with it
   * @throws InvalidConfigError, RuntimeError; nothing has changed then
   */
  update(change: string, persist: boolean): Promise<void>;
  /**
   * @param change JSON
   * @param live whether it is for this run, too
   * @throws InvalidConfigError, RuntimeError, IoError; nothing has changed then
   */
  modifySecrets(change: string, live: boolean): Promise<void>;
}

/** What the sandbox does about its network. */
export interface NetworkServices {
  /** @throws SandboxNotRunningError; UnsupportedOperationError when the sandbox has none */
  network(): NetworkControl;
  /** Calls back once, when the sandbox has ended, or soon when it has already. @returns stops that */
  onEnded(callback: (ended: EndedMessage) => void): () => void;
}

export function registerNetwork(registry: ServiceRegistry, services: NetworkServices): void {
  registry.request("NetworkRequest", ({ flows }) => services.network().status(flows));
  registry.request("UpdateNetwork", async ({ change, persist }) => {
    const network = services.network();
    await network.update(change, persist);
    return network.status(false);
  });
  registry.request("ModifySecrets", async ({ change, live }) => {
    await services.network().modifySecrets(change, live);
    return { type: "Done" };
  });
  registry.stream("ConnectGuest", ({ port }, stream) => new GuestRelay(services.network(), port, stream));
  registry.subscription("WatchNetwork", (_opening, stream) => {
    const { log } = services.network();
    let isFirst = true;
    let from = 0;
    const subscription: Subscription = new Subscription({
      stream,
      produce: () => {
        const taken = watch.take();
        if (taken === null && !isFirst) return null;
        isFirst = false;
        const item = { type: "NetworkEvents", from, lost: 0, lines: [], ...taken } as const;
        // What is not here is looked for in the files.
        return taken === null || taken.lost > 0 ? log.flush().then(() => item) : item;
      },
      over: () => {
        watch.close();
        ignoreEnd();
      },
    });
    const watch = log.watchLines(() => {
      subscription.offer();
    });
    from = log.next;
    const ignoreEnd = services.onEnded((ended) => {
      subscription.end(ended);
    });
    subscription.offer();
    return subscription;
  });
}
