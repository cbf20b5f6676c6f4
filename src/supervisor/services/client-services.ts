import { registerCommands, type CommandServices } from "./commands.ts";
import { registerLifecycle, type LifecycleServices } from "./lifecycle.ts";
import { registerLogs, type LogServices } from "./log-growth.ts";
import { registerMetrics, type MetricsServices } from "./metrics.ts";
import { ServiceRegistry } from "./registry.ts";
import { registerStates, type StateServices } from "./states.ts";

/** Everything that a client can ask for. A new area registers itself here. */
export function clientServices(
  sandbox: CommandServices & LifecycleServices & LogServices & MetricsServices & StateServices,
): ServiceRegistry {
  const registry = new ServiceRegistry();
  registerCommands(registry, sandbox);
  registerLifecycle(registry, sandbox);
  registerLogs(registry, sandbox);
  registerMetrics(registry, sandbox);
  registerStates(registry, sandbox);
  return registry;
}
