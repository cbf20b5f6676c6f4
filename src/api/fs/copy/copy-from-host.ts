import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { IoError, SandboxFsError } from "../../../errors/index.ts";
import { ioError } from "../../../host/system-error.ts";
import { readTree } from "../../../host/tree/read-tree.ts";
import { shownPath } from "../../../host/tree/tree.ts";
import type { FsCopyOptions } from "./copy-options.ts";
import type { GuestFiles, PathCall } from "../guest-files.ts";
import { CopyTally } from "./copy-tally.ts";
import { Refusals } from "./partial-copy.ts";
import { TreeSender } from "./tree-sender.ts";

/** Copies a file or a directory of the host into the guest, in one stream. */
export async function copyFromHost(
  files: GuestFiles,
  call: PathCall,
  source: Buffer,
  options: FsCopyOptions,
): Promise<void> {
  const { signal } = call.operation;
  const { archive = false, followSymlinks = false } = options;
  const shown = shownPath(source);
  const isFile = await isRegularFile(source);
  const keep = archive || !isFile;
  const request = {
    type: "TreeReceive",
    path: call.path,
    keepMode: keep,
    keepTimes: keep,
    keepOwner: archive,
  } as const;
  const copied = files.during(call, request, async (stream) => {
    await stream.opened(signal);
    const sender = new TreeSender(stream, signal);
    const tally = new CopyTally(options.onProgress);
    const batches = readTree(source, { followRoot: true, followAll: followSymlinks, recycle: true, signal });
    try {
      // The next ones are read while these are sent.
      for (let next = batches.next(); ;) {
        const batch = await next;
        if (batch.done === true) break;
        next = batches.next();
        next.catch(() => undefined);
        await sender.send(batch.value);
        tally.add(batch.value);
      }
    } finally {
      await batches.return(undefined).catch(() => undefined);
    }
    await sender.end();
    const last = await stream.finished(signal);
    tally.tell();
    if (last.type !== "TreeDone") return;
    const refusals = new Refusals();
    for (const { path, message } of last.problems) refusals.add(path, message);
    refusals.addUnnamed(last.problemCount - last.problems.length);
    refusals.throwIfAny(`copy ${shown}`);
  });
  await copied.catch((error: unknown) => {
    throw isFile ? nameTheFile(error, basename(shown)) : error;
  });
}

/** A file is copied to the path that is named, and not into a directory that is there. */
function nameTheFile(error: unknown, name: string): unknown {
  if (!(error instanceof SandboxFsError) || error.errnoName !== "EISDIR") return error;
  const { message, operation, path, errno, errnoName } = error;
  const file = `${path.replace(/\/\.?$/, "")}/${name}`;
  return new SandboxFsError(
    message,
    { operation, path, errno, errnoName },
    { cause: error.cause, hint: `A file is copied to the path of its own: name ${file}.` },
  );
}

/** @throws IoError for what is neither a file nor a directory */
async function isRegularFile(path: Buffer): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    throw ioError(`read ${shownPath(path)}`, error, "userFile");
  });
  if (found.isFile() || found.isDirectory()) return found.isFile();
  throw new IoError(`cannot copy ${shownPath(path)}: it is a device, a pipe or a socket`, {
    hint: "Name a file or a directory, or read it yourself and use writeStream().",
  });
}
