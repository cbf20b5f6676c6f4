import { requireOpenable, serveFiles } from "../../file-server/file-server.ts";
import type { ServedPath } from "../../file-server/options.ts";
import type { Machine } from "../../machine/machine.ts";
import type { StartContext, StartLog } from "./context.ts";

/**
 * Serves what a guest is to find of the host's files, as long as its machine runs. The guest does not wait for it before it is used.
 *
 * @param booted what the agent answers
 * @throws IoError when one of them cannot be opened; whatever `booted` does
 */
export async function servedWhile(
  { runtimeLog }: Pick<StartContext, "runtimeLog">,
  machine: Machine,
  served: readonly ServedPath[],
  booted: Promise<void>,
): Promise<void> {
  await Promise.all([booted, serve(runtimeLog, machine, served)]);
}

async function serve(log: StartLog, machine: Machine, served: readonly ServedPath[]): Promise<void> {
  if (served.length === 0) return;
  serveFiles(
    machine.takeFilesPort(),
    served,
    (reason) => {
      log.write("warn", `the host's files are no longer served to the guest: ${reason}`);
    },
    (path, reason) => {
      log.write("warn", `${path} is not served to the guest: ${reason}`);
    },
  );
  await requireOpenable(served);
}
