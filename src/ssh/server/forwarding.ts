import { setTimeout as sleep } from "node:timers/promises";
import type { ServerChannel, TcpipRequestInfo } from "ssh2";
import { unlessAborted } from "../../host/unless-aborted.ts";
import type { GuestCommand } from "../guest.ts";
import { hangUp } from "./command-end.ts";
import { framed, FramedOutput } from "./connect-frames.ts";
import { sshLimits } from "./limits.ts";
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

/** Until both sides have said all, or one of them is gone; what the client has said by then reaches the other one. */
async function relay(command: GuestCommand, output: FramedOutput, open: OpenChannel): Promise<void> {
  const stdin = command.takeStdin();
  const write = async (data: Uint8Array): Promise<void> => stdin?.write(framed(data));
  const said = open.feed({ write, close: () => write(new Uint8Array()) });
  try {
    await unlessAborted(passBack(output, open, said), open.closed);
  } catch {
    // The client is gone, or the sandbox.
  }
  open.channel.close();
  void said.then(() => stdin?.close()).catch(() => undefined);
  const enough = new AbortController();
  const patience = sleep(sshLimits.drainMs, undefined, { signal: enough.signal });
  await Promise.race([command.wait(), patience]).catch(() => undefined);
  enough.abort();
}

/** @param said resolves when the client has said all, and that is on its way */
async function passBack(output: FramedOutput, open: OpenChannel, said: Promise<void>): Promise<void> {
  for (let frame = await output.next(); frame !== null && !open.closed.aborted; frame = await output.next()) {
    if (frame.length > 0) {
      await open.write(frame, "stdout");
      continue;
    }
    open.channel.eof();
    // It may end before, when the other side is gone.
    await Promise.race([said, output.next()]);
    return;
  }
}
