import { beginQemu } from "../start/prelaunch/begun-qemu.ts";
import { closeForeignDescriptors } from "./foreign-descriptors.ts";

/**
 * The program behind every sandbox: `supervisor NAME attached|detached`. Inherits the connection of the process that starts
 * it as descriptor 3, the sandbox's lock, held, as descriptor 4, and a pipe from which it learns what QEMU to start before
 * anything else as descriptor 5. `supervisor --diagnose` reports on the host instead; `supervisor --warm` makes a template for
 * sandboxes of the configuration (JSON) that it reads from its standard input.
 */
const headStartFd = 5;

async function main(): Promise<void> {
  const [name, mode] = process.argv.slice(2);
  const isSandbox = name !== undefined && (mode === "attached" || mode === "detached");
  if (isSandbox) closeForeignDescriptors(headStartFd);
  const begun = isSandbox ? beginQemu(headStartFd) : null;
  // Only now: QEMU comes up while this is loaded.
  const program = await import("./program.ts");
  if (name === "--diagnose") await program.diagnose();
  else if (name === "--warm") await program.warmFrom(process.stdin);
  else if (isSandbox) await program.supervise(name, mode === "attached", begun);
  else throw new Error("usage: supervisor NAME attached|detached");
}

try {
  await main();
  if (process.argv[2] !== "--diagnose") process.exit(0);
} catch (error) {
  // Standard error is the sandbox's runtime.log.
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
