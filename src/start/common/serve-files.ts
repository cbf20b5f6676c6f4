import { posix } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { requireOpenable, serveFiles } from "../../file-server/file-server.ts";
import type { Machine } from "../../machine/machine.ts";
import type { PreparedMounts } from "../contract/handover.ts";
import type { StartContext } from "./context.ts";

/**
 * How long the server's thread waits for the guest to have booted, ms: a link of the image's may lead the guest to what is served
 * before that, and then it waits for the server.
 */
const longestWaitMs = 300;

/**
 * Serves what a guest is to find of the host's files, as long as its machine runs. The guest does not wait for it before it is used, so
 * the server's thread, which takes as much of a processor as half a guest's start, begins when the guest has booted.
 *
 * @param booted what the agent answers
 * @throws IoError when one of them cannot be opened; whatever `booted` does
 */
export async function servedWhile(
  context: Pick<StartContext, "record" | "runtimeLog">,
  machine: Machine,
  mounts: Pick<PreparedMounts, "guest" | "served">,
  booted: Promise<void>,
): Promise<void> {
  const { served } = mounts;
  if (served.length === 0) {
    await booted;
    return;
  }
  const isOver = new AbortController();
  const soon = sleep(longestWaitMs, undefined, { signal: isOver.signal, ref: false }).catch(() => undefined);
  const { workdir } = context.record.config;
  const serve = (): void => {
    // The start has failed meanwhile.
    if (isOver.signal.aborted) return;
    serveFiles(machine.takeFilesPort(), served, (reason) => {
      context.runtimeLog.write("warn", `the host's files are no longer served to the guest: ${reason}`);
    });
  };
  const begun = (isUsedByBoot(mounts, workdir) ? Promise.resolve() : Promise.race([booted, soon])).then(
    serve,
  );
  try {
    await Promise.all([booted, requireOpenable(served), begun]);
  } finally {
    isOver.abort();
  }
}

/** Whether places are made or looked for in what is served while the guest boots. */
function isUsedByBoot({ guest }: Pick<PreparedMounts, "guest">, workdir: string | null): boolean {
  const places = guest.map(({ path }) => path);
  if (workdir !== null) places.push(posix.resolve("/", workdir));
  return guest.some(
    ({ path, files }) => files !== null && places.some((place) => place.startsWith(`${path}/`)),
  );
}
