import type { ServerChannel, TcpipRequestInfo } from "ssh2";
import { unlessAborted } from "../../host/unless-aborted.ts";
import type { GuestCommand } from "../guest.ts";
import { hangUp } from "./command-end.ts";
import { FramedOutput } from "./framed-output.ts";
import { OpenChannel } from "./open-channel.ts";
import { startAtHome, type SessionContext } from "./session.ts";

/** Names of hosts are 255 bytes at most (RFC 1035, 2.3.4). */
const longestHost = 255;

/** Connects a client with an address as the guest sees it: a program in the guest does it, so the sandbox's policy decides as for all others. */
export async function serveForwarding(
  accept: () => ServerChannel | undefined,
  reject: () => void,
  { destIP, destPort }: TcpipRequestInfo,
  context: SessionContext,
): Promise<void> {
  let command: GuestCommand;
  let output: FramedOutput;
  try {
    if (destIP.includes("\0") || destIP.length > longestHost) throw new Error("no host has such a name");
    command = await startAtHome(context.guest, {
      program: await context.guest.helper(),
      args: ["--connect", destIP, String(destPort)],
      user: context.user.spec,
      cwd: "/",
      env: new Map(),
      terminal: null,
      logged: false,
    });
    output = new FramedOutput(command);
    const first = await unlessAborted(output.next(), context.gone).catch(async (error: unknown) => {
      await hangUp(command);
      throw error;
    });
    if (first === null || first.length > 0) throw new Error("it could not connect");
  } catch {
    reject();
    return;
  }
  const channel = accept();
  const open = channel === undefined ? null : new OpenChannel(channel, context.transport, context.gone);
  if (open !== null && context.admit(open)) await relay(command, output, open);
  await hangUp(command);
}

async function relay(command: GuestCommand, output: FramedOutput, open: OpenChannel): Promise<void> {
  open.feed(command.takeStdin());
  try {
    for (;;) {
      const frame = await unlessAborted(output.next(), open.closed);
      if (frame === null) break;
      if (frame.length > 0) await open.write(frame, "stdout");
      // The other side says no more, and may still listen.
      else open.channel.eof();
    }
  } catch {
    // The client is gone, or the sandbox.
  }
  open.channel.close();
}
