import { Deadline } from "../../host/deadline.ts";
import type { MetricsMessage } from "../../protocol/generated/messages.ts";
import type { ServiceRegistry } from "./registry.ts";
import { Subscription } from "./subscription.ts";

/** What the sandbox tells of what it uses. */
export interface MetricsServices {
  /** @throws SandboxNotRunningError */
  metrics(): Promise<MetricsMessage>;
}

export function registerMetrics(registry: ServiceRegistry, services: MetricsServices): void {
  registry.request("MetricsRequest", () => services.metrics());
  registry.subscription("WatchMetrics", ({ intervalMs }, stream) => {
    const due = new Deadline(() => {
      subscription.offer();
    });
    const subscription: Subscription = new Subscription({
      stream,
      produce: () => {
        due.set(intervalMs);
        return services.metrics();
      },
      over: () => {
        due.cancel();
      },
    });
    subscription.offer();
    return subscription;
  });
}
