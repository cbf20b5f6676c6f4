import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { findSandbox, locateHome } from "../store/index.ts";
import { diagnoseHost } from "./diagnose.ts";
import { Supervisor } from "./supervisor.ts";

/**
 * The program behind every sandbox: `supervisor NAME attached|detached`. Inherits the connection of the process that starts
 * it as descriptor 3 and the sandbox's lock, held, as descriptor 4. `supervisor --diagnose` reports on the host instead.
 */
const ownerFd = 3;
const lockFd = 4;

async function main(): Promise<void> {
  const [name, mode] = process.argv.slice(2);
  if (name === "--diagnose") {
    process.stdout.write(JSON.stringify(await diagnoseHost(locateHome())) + "\n");
    return;
  }
  if (name === undefined || (mode !== "attached" && mode !== "detached")) {
    throw new Error("usage: supervisor NAME attached|detached");
  }
  const home = locateHome();
  let locked = true;
  await Supervisor.run({
    home,
    sandbox: await findSandbox(home, name),
    owner: new Socket({ fd: ownerFd, readable: true, writable: true }),
    attached: mode === "attached",
    releaseLock: () => {
      if (locked) closeSync(lockFd);
      locked = false;
    },
  });
  process.exit(0);
}

try {
  await main();
} catch (error) {
  // Standard error is the sandbox's runtime.log.
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
