import { RuntimeError, type SandboxFsError } from "../../errors/index.ts";
import type { FileProblem } from "../../protocol/generated/messages.ts";
import { TreeRecordReader } from "../../protocol/tree-records.ts";
import { entryOf, unknownEntry, type GuestFsEntry } from "./guest-entry.ts";
import { fsError } from "./fs-error.ts";
import type { GuestFiles, PathCall } from "./guest-files.ts";
import { joinPath } from "./guest-path.ts";
import type { GuestStream } from "./guest-stream.ts";

/** Of Linux, whatever this host is. */
const ENOENT = 2;
const ENOTDIR = 20;

/** A directory, entry by entry, with what is below when it is asked for: at most 512 KiB of it wait here. */
export async function* readListing(
  files: GuestFiles,
  call: PathCall,
  recursive: boolean,
): AsyncGenerator<GuestFsEntry, void, undefined> {
  const request = {
    type: "TreeSend",
    path: call.path,
    followRoot: true,
    followAll: false,
    contents: false,
    depth: recursive ? null : 1,
  } as const;
  const stream = await files.stream(call, request);
  try {
    yield* entries(files, stream, call);
  } finally {
    stream.abort(new RuntimeError("nobody lists it any more"));
  }
}

async function* entries(
  files: GuestFiles,
  stream: GuestStream,
  { operation: { signal }, path }: PathCall,
): AsyncGenerator<GuestFsEntry, void, undefined> {
  const reader = new TreeRecordReader(false);
  const next = (): Promise<Buffer | null> => files.control.explainLoss(stream.next(signal));
  let isRoot = true;
  /** What could not be listed is told when everything else was. */
  let problem: SandboxFsError | null = null;
  for (let chunk = await next(); chunk !== null; chunk = await next()) {
    for (const record of reader.push(chunk)) {
      if (record.type === "problem") {
        const { errno, operation } = record.problem;
        // It has gone since its directory was read.
        if (errno === ENOENT) continue;
        if (operation === "stat") yield unknownEntry(path, record.problem.path);
        else problem ??= problemBelow(path, record.problem);
      } else if (record.type !== "entry") continue;
      else if (isRoot) {
        isRoot = false;
        if (record.entry.kind !== "directory") throw notDirectory(path);
      } else yield entryOf(path, record.entry);
    }
  }
  reader.end();
  if (problem !== null) throw problem;
}

/** What could not be listed is named by its path in the listing. */
function problemBelow(directory: Uint8Array, problem: FileProblem): SandboxFsError {
  const path = joinPath(directory, problem.path);
  return fsError({ ...problem, path }, path);
}

function notDirectory(path: Uint8Array): SandboxFsError {
  return fsError(
    { path: Buffer.alloc(0), operation: "list", errno: ENOTDIR, message: "Not a directory" },
    path,
  );
}
