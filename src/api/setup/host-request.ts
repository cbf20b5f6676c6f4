import { once } from "node:events";
import { RuntimeError } from "../../errors/index.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Home } from "../../store/home.ts";
import { SupervisorConnection } from "../control/connection.ts";
import { spawnSupervisor } from "./supervisor-process.ts";

export interface HostRequestOptions {
  /** Told what the user should know. */
  readonly onNotice?: (message: string) => void;
  /** Aborted: whoever carries the request out leaves what it is doing. */
  readonly signal?: AbortSignal | undefined;
}

/** What has not left by then, ms, is killed; QEMU dies with it. */
const longestLeaveMs = 5_000;

/**
 * Asks a supervisor without a sandbox about this host: the program that runs sandboxes is the one that knows, and looks from where
 * it would run them.
 *
 * @returns its answer
 * @throws what it answers with; RuntimeError when it ends without a word; the signal's reason
 */
export async function askAboutHost(
  home: Home,
  request: Message,
  { onNotice, signal }: HostRequestOptions = {},
): Promise<Message> {
  signal?.throwIfAborted();
  const options = { home, logFd: null, lockFd: null };
  const { child, owner } = await spawnSupervisor({ kind: "host" }, options);
  const ended = once(child, "exit");
  const connection = SupervisorConnection.inherited(owner, {
    message: (message) => {
      if (message.type === "Notice") onNotice?.(message.message);
    },
    lost: () => undefined,
  });
  try {
    return await connection.request(request, signal ?? new AbortController().signal);
  } catch (error) {
    if (!connection.lost || signal?.aborted === true) throw error;
    throw new RuntimeError("the process that was asked about this host ended without a word", {
      cause: error,
    });
  } finally {
    connection.close();
    // It clears away what it was doing, which may be in the way of the next one.
    child.ref();
    const timer = setTimeout(() => child.kill("SIGKILL"), longestLeaveMs);
    await ended;
    clearTimeout(timer);
  }
}
