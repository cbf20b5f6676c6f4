import { posix } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FileServer, requireOpenable } from "../../file-server/file-server.ts";
import type { ForwardedMount } from "../../file-server/forwarded/forwarded-mount.ts";
import type { Machine } from "../../machine/machine.ts";
import type { PreparedMounts } from "../contract/handover.ts";
import type { StartContext } from "./context.ts";
import { forwardFiles } from "./forward-files.ts";

/**
 * How long the server's thread waits for the guest to have booted, ms: a link of the image's may lead the guest to what is served
 * before that, and then it waits for the server.
 */
const longestWaitMs = 300;

/**
 * Serves what a guest is to find of the host's files, and passes on what it asks of the program's, as long as its machine runs. The guest does not wait for it before it is used, so
 * the server's thread, which takes as much of a processor as half a guest's start, begins when the guest has booted.
 *
 * @param booted what the agent answers
 * @returns may be left alone: who gives a start up does not wait for it
 * @throws IoError when one of them cannot be opened; whatever `booted` does
 */
export function servedWhile(
  context: FilesContext,
  machine: Machine,
  mounts: Pick<PreparedMounts, "guest" | "served">,
  booted: Promise<void>,
): Promise<void> {
  const served = serveOnceBooted(context, machine, mounts, booted);
  served.catch(() => undefined);
  return served;
}

type FilesContext = Pick<StartContext, "record" | "runtimeLog" | "programFiles">;

async function serveOnceBooted(
  context: FilesContext,
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
    let forwarded: ReadonlyMap<number, ForwardedMount> = new Map();
    const server = new FileServer(machine.takeFilesPort(), served, {
      over: (reason) => {
        context.runtimeLog.write("warn", `the host's files are no longer served to the guest: ${reason}`);
      },
      unserved: (path, reason) => {
        context.runtimeLog.write("warn", `${path} is not served to the guest: ${reason}`);
      },
      request: (mount, message) => forwarded.get(mount)?.request(message),
      written: (mount, bytes) => forwarded.get(mount)?.written(bytes),
    });
    forwarded = forwardFiles(context, machine, server, served);
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
