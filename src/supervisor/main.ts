import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { encodeFailure } from "../protocol/failure.ts";
import { encodeFrame, FrameKind } from "../protocol/frame.ts";
import { encodeMessage } from "../protocol/messages.generated.ts";
import { findSandbox, locateHome, parseStoredConfig } from "../store/index.ts";
import { diagnoseHost } from "./diagnose.ts";
import { Supervisor } from "./supervisor.ts";

/**
 * The program behind every sandbox: `supervisor NAME attached|detached`. Inherits the connection of the process that starts
 * it as descriptor 3 and the sandbox's lock, held, as descriptor 4. `supervisor --diagnose` reports on the host instead;
 * `supervisor --warm` makes a template for sandboxes of the configuration (JSON) that it reads from its standard input.
 */
const ownerFd = 3;
const lockFd = 4;

async function main(): Promise<void> {
  const [name, mode] = process.argv.slice(2);
  if (name === "--diagnose") {
    process.stdout.write(JSON.stringify(await diagnoseHost(locateHome())) + "\n");
    return;
  }
  if (name === "--warm") {
    await warmFrom(process.stdin);
    process.exit(0);
  }
  if (name === undefined || (mode !== "attached" && mode !== "detached")) {
    throw new Error("usage: supervisor NAME attached|detached");
  }
  const home = locateHome();
  const owner = new Socket({ fd: ownerFd, readable: true, writable: true });
  let locked = true;
  const releaseLock = (): void => {
    if (locked) closeSync(lockFd);
    locked = false;
  };
  try {
    const sandbox = await findSandbox(home, name);
    await Supervisor.run({ home, sandbox, owner, attached: mode === "attached", releaseLock });
  } catch (error) {
    // What keeps the supervisor from its work, such as a disk too full for a log, is told as every failed start is.
    releaseLock();
    const failure = encodeFrame(0, FrameKind.control, encodeMessage(encodeFailure(error)));
    await new Promise<void>((resolve) => owner.once("error", resolve).end(failure, resolve));
    throw error;
  }
  process.exit(0);
}

/** Answers with one line of JSON: `{"outcome":…}` or `{"failure":…}`, the encoded Failure message in base64. */
async function warmFrom(input: NodeJS.ReadableStream): Promise<void> {
  const { warm } = await import("./warm.ts");
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

try {
  await main();
} catch (error) {
  // Standard error is the sandbox's runtime.log.
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
