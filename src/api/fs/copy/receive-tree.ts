import { ProtocolError } from "../../../errors/index.ts";
import type { TreeEvent, VoidFile } from "../../../host/tree/tree.ts";
import type { FileProblem } from "../../../protocol/generated/messages.ts";
import { TreeRecordReader } from "../../../protocol/tree-records.ts";
import type { GuestStream } from "../guest-stream.ts";

/** A file that the guest could not read to its end, and why. */
export interface VoidedFile extends VoidFile {
  readonly problem: FileProblem;
}

/**
 * What the guest sends of a tree, until it says that this was all: one batch for each chunk, perhaps an empty one.
 *
 * @param problem told what could not be read, but for what comes as a {@link VoidedFile}
 * @throws ProtocolError when what comes is no tree; SandboxFsError when the guest gave up; the signal's reason
 */
export async function* receiveTree(
  stream: GuestStream,
  signal: AbortSignal,
  problem: (problem: FileProblem) => void,
): AsyncGenerator<(TreeEvent | VoidedFile)[], void, undefined> {
  const reader = new TreeRecordReader();
  let hasRoot = false;
  for (let chunk = await stream.next(signal); chunk !== null; chunk = await stream.next(signal)) {
    const events: (TreeEvent | VoidedFile)[] = [];
    for (const record of reader.push(chunk)) {
      if (record.type === "problem") {
        if (record.voids) events.push({ type: "void", problem: record.problem });
        else problem(record.problem);
        continue;
      }
      if (record.type === "entry") {
        if (hasRoot !== record.entry.path.length > 0)
          throw new ProtocolError("the guest sent a tree that has no root, or two");
        hasRoot = true;
      }
      events.push(record);
    }
    // Even with nothing in it: memory of what was given is used again with the chunks that come, so none is read before it is asked for.
    yield events;
  }
  reader.end();
  // It has ended, and says here how.
  const last = await stream.finished(signal);
  if (last.type !== "TreeDone") throw new ProtocolError(`the guest ended a tree with ${last.type}`);
  if (!hasRoot) throw new ProtocolError("the guest sent nothing of what it had opened");
}
