import { keepMemoryOutOfCores } from "../host/process/core-dump.ts";
import { parseSupervisorArguments, prelaunchFd } from "../start/contract/process.ts";
import { prelaunchQemu } from "../start/prelaunch/prelaunch-qemu.ts";
import { closeForeignDescriptors } from "./foreign-descriptors.ts";

/**
 * The program behind every sandbox. `src/start/contract/process.ts` says what it inherits and what its arguments mean.
 */
async function main(): Promise<void> {
  const task = parseSupervisorArguments(process.argv.slice(2));
  if (task === null)
    throw new Error("usage: supervisor NAME attached|detached, supervisor POOL member, or supervisor host");
  closeForeignDescriptors(prelaunchFd);
  keepMemoryOutOfCores();
  if (task.kind === "host") {
    const program = await import("./program.ts");
    await program.answerAboutHost();
    return;
  }
  if (task.kind === "member") {
    const program = await import("./program.ts");
    await program.waitAsMember(task.pool);
    return;
  }
  const inherited = prelaunchQemu(prelaunchFd);
  // Only now: QEMU comes up while this is loaded.
  const program = await import("./program.ts");
  await program.supervise(task.name, task.attached, inherited);
}

try {
  await main();
  process.exit(0);
} catch (error) {
  // Standard error is the sandbox's runtime.log.
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
