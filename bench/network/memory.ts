import type { Sandbox } from "microsandbox";
import { residentBytes } from "../processes.ts";
import type { Report } from "../report.ts";
import type { Caller, Servers } from "./caller.ts";
import { iperf } from "./iperf.ts";

const idleFlows = 1000;
const busyFlows = 64;
const mebibyte = 2 ** 20;

/** Resident memory of the supervisor, in whose process the gateway is, with flows that only stay and with flows that move data. */
export async function measureMemory(
  report: Report,
  sandbox: Sandbox,
  caller: Caller,
  servers: Servers,
  supervisor: number,
  seconds: number,
): Promise<void> {
  // The gateway is loaded when the guest first says something.
  await iperf(caller, servers.iperf, "-t 1");
  const before = await residentBytes(supervisor);
  const idle = await whileHeld(sandbox, caller, servers, () => residentBytes(supervisor));
  const between = await residentBytes(supervisor);
  let busy = 0;
  const timer = setInterval(() => {
    residentBytes(supervisor).then(
      (bytes) => (busy = Math.max(busy, bytes)),
      () => undefined,
    );
  }, 50);
  await iperf(caller, servers.iperf, `--bidir -P ${busyFlows / 2} -t ${seconds}`).finally(() => {
    clearInterval(timer);
  });
  report.figure("memory of the supervisor, no flows", "MB", [before / mebibyte]);
  report.figure(`memory of the supervisor, ${idleFlows} idle flows`, "MB", [idle / mebibyte]);
  report.figure("  more for each of them", "kB", [(idle - before) / idleFlows / 1024]);
  report.figure("memory of the supervisor, when they have ended", "MB", [between / mebibyte]);
  report.figure(`memory of the supervisor, ${busyFlows} busy flows, highest`, "MB", [busy / mebibyte]);
}

/** Does something while the guest has so many connections. */
async function whileHeld<T>(
  sandbox: Sandbox,
  caller: Caller,
  servers: Servers,
  action: () => Promise<T>,
): Promise<T> {
  const script = `ulimit -n 4096; exec ${caller.probe} hold ${caller.host} ${servers.echo} ${idleFlows}`;
  const handle = await sandbox.execStreamWith("sh", (options) => options.args(["-c", script]).stdinPipe());
  // Leaving the loop ends the program.
  for await (const event of handle) {
    if (event.kind === "stdout") return await action();
    if (event.kind === "exited")
      throw new Error(`the connections were not made: it ended with ${event.code}`);
  }
  throw new Error("the connections were not made");
}
