import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { encodeFailure } from "../protocol/failure.ts";
import { encodeFrame, FrameKind } from "../protocol/frame.ts";
import { encodeMessage } from "../protocol/generated/messages.ts";
import { findSandbox } from "../store/sandboxes.ts";
import { locateHome } from "../store/home.ts";
import { parseStoredConfig } from "../config/sandbox/stored-config.ts";
import type { BegunQemu } from "../start/prelaunch/begun-qemu.ts";
import { diagnoseHost } from "./diagnose/diagnose.ts";
import { Supervisor } from "./supervisor.ts";

const ownerFd = 3;
const lockFd = 4;

/** Answers with one line of JSON. */
export async function diagnose(): Promise<void> {
  process.stdout.write(JSON.stringify(await diagnoseHost(locateHome())) + "\n");
}

/**
 * Owns a sandbox from its start to its end.
 *
 * @param begun the QEMU that was started for it already
 */
export async function supervise(name: string, attached: boolean, begun: BegunQemu | null): Promise<void> {
  const home = locateHome();
  const owner = new Socket({ fd: ownerFd, readable: true, writable: true });
  let locked = true;
  const releaseLock = (): void => {
    if (locked) closeSync(lockFd);
    locked = false;
  };
  try {
    const sandbox = await findSandbox(home, name);
    await Supervisor.run({ home, sandbox, owner, attached, begun, releaseLock });
  } catch (error) {
    // What keeps the supervisor from its work, such as a disk too full for a log, is told as every failed start is.
    releaseLock();
    const failure = encodeFrame(0, FrameKind.control, encodeMessage(encodeFailure(error)));
    await new Promise<void>((resolve) => owner.once("error", resolve).end(failure, resolve));
    throw error;
  }
}

/** Answers with one line of JSON: `{"outcome":…}` or `{"failure":…}`, the encoded Failure message in base64. */
export async function warmFrom(input: NodeJS.ReadableStream): Promise<void> {
  const { warm } = await import("../start/templates/warm.ts");
  const notices: string[] = [];
  let answer: Record<string, unknown>;
  try {
    const config = parseStoredConfig(await text(input));
    answer = { outcome: await warm(locateHome(), config, (notice) => notices.push(notice)) };
  } catch (error) {
    answer = { failure: encodeMessage(encodeFailure(error)).toString("base64") };
  }
  const line = JSON.stringify({ ...answer, notices }) + "\n";
  await new Promise((resolve) => process.stdout.write(line, resolve));
}
