import { InvalidConfigError } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import { unlessAborted } from "../../host/unless-aborted.ts";
import { isEventName, isReservedName, mostDataBytes } from "../../protocol/event-records.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import type { EmitResult } from "./event-types.ts";

/** Events are told one after the other, in the order of the calls: of those that wait, the program has the memory. */
const turns = new WeakMap<SandboxControl, Promise<unknown>>();

/**
 * Tells programs in the guest of an event.
 *
 * @throws InvalidConfigError for a name or data that no event can have, before anything is asked; SandboxNotRunningError, RuntimeError
 */
export async function emitEvent(
  control: SandboxControl,
  name: unknown,
  data: unknown,
  operation: Operation,
): Promise<EmitResult> {
  const event = { type: "TellInside", name: checkEventName(name), data: encodeData(data) } as const;
  const before = turns.get(control) ?? Promise.resolve();
  const { signal } = operation;
  const mine = unlessAborted(before, signal).then(() =>
    control.request(operation, { ...event, timeMs: Date.now() }, "ToldInside"),
  );
  turns.set(control, Promise.allSettled([before, mine]));
  const { listeners, missed } = await mine;
  return { listeners, missed };
}

function checkEventName(name: unknown): string {
  if (typeof name !== "string" || !name.isWellFormed() || !isEventName(name) || name.endsWith("*"))
    throw new InvalidConfigError("the event has a name that no event can have", {
      hint: "Give 1 to 128 bytes without control characters, and no * at the end.",
    });
  if (isReservedName(name))
    throw new InvalidConfigError(`an event may not be called ${JSON.stringify(name)}`, {
      hint: "Names that begin with lifecycle:, network: or files: are for what the sandbox itself tells.",
    });
  return name;
}

/** @returns JSON on one line; nothing for undefined */
function encodeData(data: unknown): Buffer {
  if (data === undefined) return Buffer.alloc(0);
  let json: unknown;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new InvalidConfigError("the event's data cannot be said in JSON", { cause });
  }
  if (typeof json !== "string") throw new InvalidConfigError("the event's data cannot be said in JSON");
  const bytes = Buffer.from(json);
  if (bytes.length > mostDataBytes)
    throw new InvalidConfigError(`the event's data has ${bytes.length} bytes as JSON, more than 1 MiB`, {
      hint: "Write it to a file of the sandbox, and tell of that.",
    });
  return bytes;
}
