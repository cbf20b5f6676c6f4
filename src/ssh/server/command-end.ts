import { setTimeout as sleep } from "node:timers/promises";
import type { GuestCommand } from "../guest.ts";
import { sshLimits } from "./limits.ts";
import type { CommandEnd, OpenChannel } from "./open-channel.ts";

const SIGHUP = 1;
const SIGKILL = 9;

/**
 * Passes on what a command prints until it ends.
 *
 * @returns null when the client has gone before
 * @throws why the command is lost
 */
export async function passOutput(command: GuestCommand, channel: OpenChannel): Promise<CommandEnd | null> {
  const next = async (): Promise<Awaited<ReturnType<GuestCommand["recv"]>> | "gone"> => {
    if (channel.closed.aborted) return "gone";
    const gone = Promise.withResolvers<"gone">();
    const onClosed = (): void => gone.resolve("gone");
    channel.closed.addEventListener("abort", onClosed);
    try {
      return await Promise.race([command.recv(), gone.promise]);
    } finally {
      channel.closed.removeEventListener("abort", onClosed);
    }
  };
  for (let event = await next(); event !== "gone"; event = await next()) {
    // Nobody waits for one that has left without a word.
    if (event === null) return { code: 255, signal: null };
    if (event.kind === "exited") return { code: event.code, signal: command.exitSignal };
    if (event.kind !== "started") await channel.write(event.data, event.kind);
  }
  return null;
}

/**
 * Ends a command whose client is gone, as a terminal does that is hung up. What it has put into the background, and made immune against
 * that, such as an editor's server with nohup(1), outlives it; the command itself does not.
 */
export async function hangUp(command: GuestCommand): Promise<void> {
  const ended = command.wait().then(
    () => undefined,
    () => undefined,
  );
  const enough = new AbortController();
  await command.signal(SIGHUP);
  await Promise.race([
    ended,
    sleep(sshLimits.hangUpMs, undefined, { signal: enough.signal }).catch(() => undefined),
  ]);
  enough.abort();
  // It reaches nobody when the command has ended.
  await command.signal(SIGKILL);
  await ended;
}
