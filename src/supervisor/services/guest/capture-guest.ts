import { RuntimeError } from "../../../errors/index.ts";
import { syncPath } from "../../../host/files/atomic-file.ts";
import { readyToCopy } from "../../../host/files/copy-sparse.ts";
import type { OpenStreams } from "../../../protocol/streams.ts";
import type { MachineFacts } from "../../../start/inputs/machine-facts.ts";
import type { StartedMachine } from "../../../start/common/context.ts";
import {
  commitSuspension,
  diskAsItIs,
  removeSuspensions,
  stageSuspension,
  writeSuspension,
  type SuspendedCommand,
  type SuspensionPaths,
  type SuspensionRecord,
} from "../../../store/suspension.ts";

export interface CaptureOptions {
  readonly started: StartedMachine;
  readonly facts: MachineFacts;
  readonly memoryMib: number;
  /** Those that run when the guest stands still. */
  readonly commands: () => readonly SuspendedCommand[];
  /** Has one that is paused answer; not there: it runs. */
  readonly wake?: () => Promise<void>;
}

/** What a copy of a guest has cost it. */
export interface CaptureCost {
  /** How long its processes stood still, ms. */
  readonly heldMs: number;
  /** Of its memory, what was its own. */
  readonly ownBytes: number;
}

/** A guest that nobody speaks to goes on by itself after 30 s (agent/src/agent.rs): it has to be held well before, ms. */
const longestStillMs = 15_000;

/**
 * Writes down a guest as it is: memory, devices, and what its agent has open. Its disks stay where they are, so it must not run any more
 * once this has succeeded.
 *
 * @param directory of its sandbox
 * @throws RuntimeError when the guest does not stand still; QmpError, IoError. It goes on then, and nothing of it is kept
 */
export async function suspendGuest(options: CaptureOptions, directory: string): Promise<void> {
  const { disks } = options.facts;
  // Whoever looks at its disk, or gives its memory up, finds all that was written.
  const before = (): Promise<void> => options.started.agent.flush();
  const staging = await stageSuspension(directory);
  const keep = async (record: SuspensionRecord): Promise<void> => {
    // A memory of which a part is lost with the host's power would be worse than none.
    await Promise.all([syncPath(staging.memory), syncPath(staging.state)]);
    const written = await Promise.all(disks.map((path) => diskAsItIs(directory, path)));
    await commitSuspension(directory, { ...record, disks: written });
  };
  try {
    await capture(options, staging, { source: null, keep, before });
  } catch (error) {
    // From now on its disks are others than those of that moment.
    await removeSuspensions(directory, { fresh: true }).catch(() => undefined);
    throw error;
  }
}

/** A copy of a guest. */
export interface GuestCopy {
  /** The name of the sandbox that is copied. */
  readonly source: string;
  /** Its disks get what they do not have yet before. */
  readonly flush: boolean;
  /** Where the copy goes, which nobody else writes to. */
  readonly paths: SuspensionPaths;
  /** The disk that it writes to, and where the copy of that goes; null: it has none. */
  readonly disk: { readonly from: string; readonly to: string } | null;
}

/** Copies a guest, which goes on. @throws as {@link suspendGuest}; the guest goes on then too, and what is at `paths` is to be removed */
export async function copyGuest(
  options: CaptureOptions,
  { source, flush, paths, disk }: GuestCopy,
): Promise<CaptureCost> {
  const before = async (): Promise<void> => {
    if (flush) await options.started.agent.flush();
  };
  let written = null as SuspensionRecord | null;
  const keep = (record: SuspensionRecord): Promise<void> => {
    written = record;
    return Promise.resolve();
  };
  using copying = disk === null ? null : await readyToCopy(disk.from, disk.to);
  const beside = async (): Promise<void> => await copying?.begin();
  const cost = await capture(options, paths, { source, keep, before, beside });
  // Nobody waits for it any more.
  if (written !== null) await writeSuspension(paths, written);
  return cost;
}

interface Kind {
  /** As of {@link SuspensionRecord}: that of a copy, whose original goes on. */
  readonly source: string | null;
  /** Done before the guest stands still. */
  readonly before: () => Promise<void>;
  /** Called while the guest stands still, and everything is written down. */
  readonly keep: (record: SuspensionRecord) => Promise<void>;
  /** Copies its disks, while it stands still. */
  readonly beside?: () => Promise<void>;
}

async function capture(
  { started, facts, memoryMib, commands, wake }: CaptureOptions,
  { memory: memoryPath, state: statePath }: SuspensionPaths,
  { source, keep, before, beside }: Kind,
): Promise<CaptureCost> {
  const { machine, agent } = started;
  const { agentVersion, kernelRelease } = await agent.hello;
  const { machineKey, accelerator, qemuVersion, kernel, processor, authority, tscKhz } = facts;
  const description = { qemuVersion, accelerator, kernelRelease, kernel, processor };
  const goesOn = source !== null;
  let open = null as OpenStreams | null;
  let running: readonly SuspendedCommand[] = [];
  let begunMs = 0;
  try {
    const { ownBytes } = await machine.capture(memoryMib, {
      ...{
        memoryPath,
        statePath,
        before,
        goesOn,
        ...(beside === undefined ? {} : { beside }),
      },
      ready: async () => {
        await wake?.();
        begunMs = performance.now();
        open = await agent.holdStill();
        running = commands();
        return () => {
          if (performance.now() - begunMs > longestStillMs)
            throw new RuntimeError("the host is too busy to copy the sandbox's memory", {
              hint: "Try it again.",
            });
        };
      },
      meanwhile: async () => {
        const streams = open?.streams ?? [];
        await keep({
          ...{
            format: 1,
            source,
            checkpoint: null,
            notify: null,
            machineKey,
            description,
            agentVersion,
            authority,
            tscKhz,
          },
          disks: [],
          open: { next: 1, highest: 0, ...open, streams: [...streams] },
          commands: running.filter(({ stream }) => streams.some(({ id }) => id === stream)),
        });
      },
    });
    if (goesOn) agent.goOn();
    return { heldMs: performance.now() - begunMs, ownBytes };
  } catch (error) {
    if (open !== null) agent.goOn();
    throw error;
  }
}
