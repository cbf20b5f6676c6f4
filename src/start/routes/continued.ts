import { open } from "node:fs/promises";
import { RuntimeError, SnapshotIncompatibleError } from "../../errors/index.ts";
import { Machine } from "../../machine/machine.ts";
import {
  diskAsItIs,
  removeSuspensions,
  suspensionPaths,
  useUpSuspension,
  type SuspensionPaths,
  type SuspensionRecord,
} from "../../store/suspension.ts";
import { endedBy } from "../common/boot.ts";
import { unlessOver, type StartPlan } from "../common/context.ts";
import { machineSpec } from "../inputs/machine-spec.ts";
import { machineFacts } from "../inputs/machine-facts.ts";
import { differences } from "../inputs/same-host.ts";
import { linkToRestored } from "../templates/template-restore.ts";
import type { RouteStarted } from "./route.ts";

/** A guest that goes on where it was. */
export interface Continuation {
  readonly suspended: SuspensionRecord;
  /** Where its memory and its devices are. */
  readonly paths: SuspensionPaths;
  /** Resolves when it may run, which is asked once everything is loaded. From then on there is no going back to what was suspended. */
  readonly mayGoOn: () => Promise<void>;
  /** It runs: what is left of it is removed. */
  readonly over: () => Promise<void>;
}

/** Of a sandbox that was suspended, or begins as a copy of another one. */
export function ownContinuation(directory: string, suspended: SuspensionRecord): Continuation {
  const mayGoOn = (): Promise<void> => useUpSuspension(directory);
  const over = (): Promise<void> => removeSuspensions(directory, { fresh: false });
  return { suspended, paths: suspensionPaths(directory), mayGoOn, over };
}

/**
 * Starts the machine of a guest that was suspended, where it was. Its processes stand still until the agent is told to go on.
 *
 * @throws RuntimeError when this host is not as it was then, SnapshotIncompatibleError for a copy; BootStartError. What was suspended is there as before, unless the guest ran
 */
export async function startContinued(
  plan: StartPlan,
  { suspended, paths, mayGoOn, over }: Continuation,
): Promise<RouteStarted> {
  const { context, choice, qemu, kernel, root, mounts, network, tscKhz } = plan;
  await requireSameHost(plan, suspended);
  context.progress("continue");
  await using state = await open(paths.state);
  const use = { memoryPath: paths.memory, shared: false, restored: true, captured: true };
  const startedAtMs = performance.now();
  const machine = Machine.start(machineSpec(context.record, kernel, root, mounts, use), choice.accelerator, {
    ...{ qemu, tscKhz, stateFd: state.fd },
    captured: mayGoOn,
  });
  const { agentVersion, description } = suspended;
  const hello = { agentVersion, kernelRelease: description.kernelRelease };
  const started = linkToRestored(context, machine, startedAtMs, network, hello);
  try {
    await unlessOver(machine.ready, machine, context.operation);
    started.live();
  } catch (error) {
    throw await endedBy(context, started, "build_vm", error);
  }
  context.background(over);
  return { kind: "started", started, reason: reasonOf(suspended) };
}

function reasonOf({ checkpoint, source }: SuspensionRecord): string {
  if (checkpoint !== null) return `went back to the checkpoint ${checkpoint}`;
  return source === null ? "went on where it was suspended" : `goes on as a copy of ${source}`;
}

/** @throws RuntimeError; SnapshotIncompatibleError for a copy of another sandbox */
async function requireSameHost(plan: StartPlan, suspended: SuspensionRecord): Promise<void> {
  const { context, choice } = plan;
  const { record } = context;
  const facts = await machineFacts({ ...plan, record, accelerator: choice.accelerator });
  const written = (await writtenDisks(context.paths.directory, suspended)).map(
    (path) => `the disk ${path} was written meanwhile, or is another one`,
  );
  const why = differences(suspended, facts, written);
  if (why === null) return;
  const { name } = record;
  const { checkpoint, source } = suspended;
  if (source !== null) {
    throw new SnapshotIncompatibleError(`sandbox ${name} cannot go on where ${source} was captured: ${why}`, {
      hint: "Use it where it was captured, or boot from its disk alone: diskOnly() of Sandbox.restore(), msb restore --disk-only.",
    });
  }
  const where = checkpoint === null ? "on where it was suspended" : `back to its checkpoint ${checkpoint}`;
  const hint =
    checkpoint === null
      ? "Start it where it was, or give up its memory, as after a loss of power"
      : "Go back under what the checkpoint was made with, or boot from the disk that it had then, without its memory";
  throw new RuntimeError(`sandbox ${name} cannot go ${where}: ${why}`, {
    hint: `${hint}: msb start --fresh ${name}`,
  });
}

/** Those that are not as the guest's memory knows them. */
async function writtenDisks(sandbox: string, { disks }: SuspensionRecord): Promise<string[]> {
  const written: string[] = [];
  for (const disk of disks) {
    const now = await diskAsItIs(sandbox, disk.path).catch(() => null);
    if (now === null || now.size !== disk.size || now.mtimeNs !== disk.mtimeNs || now.inode !== disk.inode)
      written.push(disk.path);
  }
  return written;
}
