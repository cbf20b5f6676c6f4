import type { Sandbox, SandboxBuilder } from "microsandbox";
import { Sandbox as Sandboxes } from "microsandbox";
import { cpuTimeMs, processesOf } from "./processes.ts";

/** The first command of every start that is measured. */
export const firstCommand = ["echo", "first"] as const;

/** Processor time until the first output, ms. */
export interface CpuShares {
  /** Of this process. */
  readonly sdk: number;
  readonly supervisor: number;
  readonly qemu: number;
}

/** A sandbox that has printed its first bytes. Times are in ms since the call of `create()`. */
export interface Started {
  readonly sandbox: Sandbox;
  readonly created: number;
  readonly output: number;
  /** Null where it is not asked for or cannot be had. */
  readonly cpu: CpuShares | null;
}

/** Without a network, as the floor is: what that costs is measured elsewhere. */
export function baseSandbox(name: string): SandboxBuilder {
  return Sandboxes.builder(name).image("localhost/base").disableNetwork();
}

/**
 * Creates a sandbox and runs its first command to its end.
 *
 * @param withCpu take processor times too: meaningless while something else runs in this process
 * @throws Error when the command prints something else than it should
 */
export async function start(builder: SandboxBuilder, withCpu: boolean): Promise<Started> {
  const cpuBefore = process.cpuUsage();
  const begun = performance.now();
  const sandbox = await builder.create();
  const created = performance.now() - begun;
  const handle = await sandbox.execStream(firstCommand[0], firstCommand.slice(1));
  let output: number | null = null;
  let cpu: CpuShares | null = null;
  let said = "";
  for await (const event of handle) {
    if (event.kind !== "stdout") continue;
    said += Buffer.from(event.data).toString();
    if (output !== null) continue;
    output = performance.now() - begun;
    if (withCpu && process.platform === "linux") cpu = await cpuShares(sandbox.name, cpuBefore);
  }
  if (output === null || said !== "first\n") throw new Error(`${sandbox.name} said ${JSON.stringify(said)}`);
  return { sandbox, created, output, cpu };
}

async function cpuShares(name: string, before: NodeJS.CpuUsage): Promise<CpuShares> {
  const { user, system } = process.cpuUsage(before);
  const { supervisor, qemu } = await processesOf(name);
  const [ofSupervisor, ofQemu] = await Promise.all([cpuTimeMs(supervisor), cpuTimeMs(qemu)]);
  return { sdk: (user + system) / 1000, supervisor: ofSupervisor, qemu: ofQemu };
}

/** Ends a sandbox at once and removes it. */
export async function discard(sandbox: Sandbox): Promise<void> {
  await sandbox.kill();
  await sandbox.removePersisted();
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
