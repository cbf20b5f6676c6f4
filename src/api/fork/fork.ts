import { availableParallelism } from "node:os";
import { checkOneOf, checkSignal } from "../../config/checks.ts";
import { GuestFlushes } from "../../config/enums.ts";
import { checkDistinctPorts, checkPorts } from "../../config/network/ports.ts";
import type { PublishedPort } from "../../config/network/network-type.ts";
import { hostnameFor } from "../../config/sandbox/effective-config.ts";
import { InvalidConfigError, OperationTimeoutError } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import { Slots } from "../../host/slots.ts";
import { CapturePlace } from "../../store/captures/capture-place.ts";
import { newRecord, type SandboxRecord } from "../../store/sandbox-record.ts";
import { nameExists, nameTaken, newSandboxId, type FoundSandbox } from "../../store/sandboxes.ts";
import { killWaitMs } from "../control/control-limits.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { noParts, type ProgramParts } from "../providers/program-parts.ts";
import type { StartedSandbox } from "../sandbox/start.ts";
import { checkNames, type ForkOptions, type ForkResult } from "./fork-options.ts";
import { secretsOfFork } from "./fork-secrets.ts";
import { startFromCapture } from "./start-from-capture.ts";

/** So many children start at a time. */
const startsAtOnce = Math.max(2, Math.min(8, availableParallelism()));

/**
 * Copies a running sandbox once, and starts a child with each of the names. One that fails takes no other with it.
 *
 * @returns in the order of the names
 * @throws InvalidConfigError, SandboxNotRunningError, UnsupportedOperationError for one that cannot be copied, RuntimeError, IoError: there
 *   is no child then. The signal's reason: those that run by then are removed. OperationTimeoutError when its time is over before any runs:
 *   later it is the error of those that do not
 */
export async function forkSandbox(
  control: SandboxControl,
  names: readonly string[],
  options: ForkOptions,
  operation: Operation,
): Promise<ForkResult<StartedSandbox>[]> {
  checkNames(names);
  const { guestFlush = "auto", ports = [], notify } = options;
  const flush = checkOneOf("guestFlush", guestFlush, GuestFlushes) === "required";
  const signal = notify === undefined ? null : checkSignal("notify", notify);
  const published = checkDistinctPorts(checkPorts("ports", ports));
  if (names.length > 1 && published.some(({ hostPort }) => hostPort !== 0)) {
    throw new InvalidConfigError("several sandboxes cannot have the same ports of the host", {
      hint: "Let each have one that is free: the host's port 0.",
    });
  }
  const source = await control.find();
  const secrets = await secretsOfFork(control, source, options.secrets);
  const parts: ProgramParts = { ...noParts, secrets };
  const taken = await Promise.all(names.map((name) => takenName(control, name)));
  if (taken.every((error) => error !== null))
    return taken.map((error, at) => ({ name: names[at] ?? "", error }));
  await using place = await CapturePlace.make(control.home);
  const { directory } = place.paths;
  const free = names.filter((_, at) => taken[at] === null);
  await control.capture(operation, { directory, flush, purpose: "fork", names: free });
  const start = async (name: string): Promise<StartedSandbox> =>
    await startFromCapture({
      record: recordOfChild(source, name, published),
      ...{ home: control.home, directory, notify: signal, parts, attached: false },
      observer: { signal: operation.signal },
    });
  const slots = new Slots(startsAtOnce);
  const results = await Promise.all(
    names.map(async (name, at): Promise<ForkResult<StartedSandbox>> => {
      const error = taken[at] ?? null;
      if (error !== null) return { name, error };
      try {
        using _slot = await slots.take(operation.signal);
        return { name, sandbox: await start(name) };
      } catch (failure) {
        const told: unknown = operation.signal.aborted ? operation.signal.reason : failure;
        return { name, error: told instanceof Error ? told : new Error(String(told)) };
      }
    }),
  );
  // Those whose time was over have that as their error. Who does not want them any more is told of none.
  const isUnwanted = operation.signal.aborted && !(operation.signal.reason instanceof OperationTimeoutError);
  if (isUnwanted || results.every(({ sandbox }) => sandbox === undefined)) {
    for (const { sandbox } of results) if (sandbox !== undefined) await discard(sandbox.control);
    operation.throwIfOver();
  }
  return results;
}

async function takenName({ home }: SandboxControl, name: string): Promise<Error | null> {
  return (await nameExists(home, name)) ? await nameTaken(home, name) : null;
}

function recordOfChild(
  { record }: FoundSandbox,
  name: string,
  ports: readonly PublishedPort[],
): SandboxRecord {
  return newRecord({
    ...{ id: newSandboxId(), name, createdAt: new Date().toISOString() },
    // What was patched is on its disk.
    config: { ...record.config, hostname: hostnameFor(name), ports, patches: [], forkedFrom: record.id },
  });
}

/** Nobody is told of it any more. */
async function discard(control: SandboxControl): Promise<void> {
  await control
    .run("discard sandbox", {}, (operation) => control.kill(operation, killWaitMs))
    .catch(() => undefined);
  await control.remove().catch(() => undefined);
}
