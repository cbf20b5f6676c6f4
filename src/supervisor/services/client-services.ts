import { registerCommands, type CommandServices } from "./commands.ts";
import { registerDisk, type DiskServices } from "./disk-hold.ts";
import { registerFiles, type FileServices } from "./files.ts";
import { registerJobs, type JobServices } from "./jobs.ts";
import { registerLifecycle, type LifecycleServices } from "./lifecycle.ts";
import { registerLogs, type LogServices } from "./log-growth.ts";
import { registerMetrics, type MetricsServices } from "./metrics.ts";
import { registerNetwork, type NetworkServices } from "./network/network-services.ts";
import { ServiceRegistry } from "./registry.ts";
import { registerStates, type StateServices } from "./states.ts";

/** Everything that a client can ask for. A new area registers itself here. */
export function clientServices(
  sandbox: CommandServices &
    DiskServices &
    FileServices &
    JobServices &
    LifecycleServices &
    LogServices &
    MetricsServices &
    NetworkServices &
    StateServices,
): ServiceRegistry {
  const registry = new ServiceRegistry();
  registerCommands(registry, sandbox);
  registerDisk(registry, sandbox);
  registerFiles(registry, sandbox);
  registerJobs(registry, sandbox);
  registerLifecycle(registry, sandbox);
  registerLogs(registry, sandbox);
  registerMetrics(registry, sandbox);
  registerNetwork(registry, sandbox);
  registerStates(registry, sandbox);
  return registry;
}
