import { lstat, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { Readable } from "node:stream";
import { IoError, SandboxFsError } from "../../../errors/index.ts";
import { writeUserFile } from "../../../host/files/user-file.ts";
import { errorCode, ioError } from "../../../host/system-error.ts";
import type { FileKind, FileProblem } from "../../../protocol/generated/messages.ts";
import type { FsCopyOptions } from "./copy-options.ts";
import type { GuestFiles, PathCall } from "../guest-files.ts";
import { CopyTally } from "./copy-tally.ts";
import { HostPlace } from "./host-place.ts";
import { Refusals } from "./partial-copy.ts";
import { receiveTree } from "./receive-tree.ts";

/** What is at the path that was named, if anything. */
type Standing = "nothing" | "directory" | "other";

/**
 * Copies a file or a directory of the guest to the host, in one stream. The guest is not trusted: what it sends is written by a
 * {@link HostPlace}, and nothing goes elsewhere. What is new under the path that was named is there when it is whole.
 */
export async function copyToHost(
  files: GuestFiles,
  call: PathCall,
  hostPath: string,
  options: FsCopyOptions,
): Promise<void> {
  const target = resolve(hostPath);
  const standing = await standingAt(target);
  // What is a directory's path takes a directory alone.
  const takesFile = !/\/\.?$/.test(hostPath);
  // What the user has there keeps its owner and mode, and a link, a pipe or a device is written through.
  if (standing !== "other") await copyTree(files, call, target, standing, takesFile, options);
  else if (takesFile) await overwrite(files, call, target, options);
  else throw await inTheWay(target);
}

/** Why no directory goes to where something else stands. */
async function inTheWay(target: string): Promise<IoError> {
  const leadsToDirectory = await stat(target).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return leadsToDirectory
    ? new IoError(`cannot write the directory ${target}: it is a link to a directory`, {
        hint: "Name the directory itself: links are not followed there.",
      })
    : new IoError(`cannot write the directory ${target}: something else stands there`, {
        hint: "Name a path where nothing stands yet, or a directory to merge with.",
      });
}

async function standingAt(target: string): Promise<Standing> {
  try {
    return (await lstat(target)).isDirectory() ? "directory" : "other";
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "nothing";
    throw ioError(`write ${target}`, error, "userFile");
  }
}

async function overwrite(
  files: GuestFiles,
  call: PathCall,
  target: string,
  options: FsCopyOptions,
): Promise<void> {
  const { signal } = call.operation;
  const content = async function* (): AsyncGenerator<Buffer> {
    const request = { type: "FileRead", path: call.path, offset: 0, length: null } as const;
    const stream = await files.stream(call, request);
    let bytes = 0;
    try {
      for (let chunk = await stream.next(signal); chunk !== null; chunk = await stream.next(signal)) {
        yield chunk;
        bytes += chunk.length;
        options.onProgress?.({ entries: 0, bytes });
      }
      options.onProgress?.({ entries: 1, bytes });
    } finally {
      stream.abort(new IoError("the copy was given up"));
    }
  };
  // Opened before anything is done to what is there: most of what can fail in the guest fails here.
  const request = { type: "FileRead", path: call.path, offset: 0, length: 0 } as const;
  const opened = files.during(call, request, (stream) => stream.opened(signal));
  await opened.catch(async (error: unknown) => {
    throw error instanceof SandboxFsError && error.errnoName === "EISDIR" ? await inTheWay(target) : error;
  });
  await writeUserFile(target, () => Readable.from(content()), { signal });
}

async function copyTree(
  files: GuestFiles,
  call: PathCall,
  target: string,
  standing: Standing,
  takesFile: boolean,
  options: FsCopyOptions,
): Promise<void> {
  const { signal } = call.operation;
  const { followSymlinks = false, archive = false } = options;
  const request = {
    type: "TreeSend",
    path: call.path,
    followRoot: true,
    followAll: followSymlinks,
    contents: true,
    depth: null,
  } as const;
  await files.during(call, request, async (stream) => {
    await stream.opened(signal);
    const place = await HostPlace.open(target, standing, { owners: archive });
    try {
      const refusals = new Refusals();
      const refuse = ({ path, message }: FileProblem): void => {
        refusals.add(path, message);
      };
      const tally = new CopyTally(options.onProgress);
      for await (const events of receiveTree(stream, signal, refuse)) {
        for (const event of events) {
          if (event.type === "void") refuse(event.problem);
          // The first one is the root's.
          if (!takesFile && event.type === "entry" && event.entry.path.length === 0)
            mustBeDirectory(event.entry.kind, target);
        }
        await place.write(events);
        tally.add(events);
      }
      await finish(place, target, refusals);
      refusals.throwIfAny(`copy to ${target}`);
    } catch (error) {
      await place.abort();
      throw error;
    }
  });
}

function mustBeDirectory(kind: FileKind, target: string): void {
  if (kind === "directory") return;
  throw new IoError(`cannot write the directory ${target}: what is copied is none`, {
    hint: "Name the file: the path is that of the copy itself.",
  });
}

/** @throws IoError when nothing at all could be written */
async function finish(place: HostPlace, target: string, refusals: Refusals): Promise<void> {
  const { refused, refusedCount } = await place.finish();
  for (const { path, reason, message } of refused) {
    if (path.length === 0 && reason !== "attributes") throw rootRefused(target, message);
    refusals.add(path, message);
  }
  refusals.addUnnamed(refusedCount - refused.length);
}

function rootRefused(target: string, message: string): IoError {
  return new IoError(`cannot write ${target}: ${message}`, {
    hint: `Name a path where nothing stands yet, such as one in ${basename(target)}.`,
  });
}
