import { randomBytes } from "node:crypto";
import { lstat, rename, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { IoError, ProtocolError } from "../../../errors/index.ts";
import { removeTree } from "../../../host/contained/remove-tree.ts";
import { writeUserFile } from "../../../host/files/user-file.ts";
import { errorCode, ioError } from "../../../host/system-error.ts";
import type { TreeEvent, VoidFile } from "../../../host/tree/tree.ts";
import { TreeWriter } from "../../../host/tree/tree-writer.ts";
import { TreeRecordReader, type TreeRecord } from "../../../protocol/tree-records.ts";
import type { FsCopyOptions } from "./copy-options.ts";
import type { GuestFiles, PathCall } from "../guest-files.ts";
import type { GuestStream } from "../guest-stream.ts";
import { Refusals } from "./partial-copy.ts";

/** What is at the path that was named, if anything. */
type Standing = "nothing" | "directory" | "other";

/**
 * Copies a file or a directory of the guest to the host, in one stream. The guest is not trusted: what it sends is written by a
 * {@link TreeWriter}, and nothing goes elsewhere. What is new under the path that was named is there when it is whole.
 */
export async function copyToHost(
  files: GuestFiles,
  call: PathCall,
  hostPath: string,
  options: FsCopyOptions,
): Promise<void> {
  const target = resolve(hostPath);
  const standing = await standingAt(target);
  // What the user has there keeps its owner and mode, and a link, a pipe or a device is written through.
  if (standing === "other") await overwrite(files, call, target, options);
  else await copyTree(files, call, target, standing, options);
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
  await files.during(call, { type: "FileRead", path: call.path, offset: 0, length: 0 }, (stream) =>
    stream.opened(signal),
  );
  await writeUserFile(target, () => Readable.from(content()), { signal });
}

async function copyTree(
  files: GuestFiles,
  call: PathCall,
  target: string,
  standing: Standing,
  options: FsCopyOptions,
): Promise<void> {
  const { signal } = call.operation;
  const { followSymlinks = false } = options;
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
    const place = await Place.open(target, standing, options);
    try {
      const refusals = await receive(stream, place, options, signal);
      await place.finish(refusals);
      refusals.throwIfAny(`copy to ${target}`);
    } catch (error) {
      await place.abort();
      throw error;
    }
  });
}

async function receive(
  stream: GuestStream,
  place: Place,
  { onProgress }: FsCopyOptions,
  signal: AbortSignal,
): Promise<Refusals> {
  const reader = new TreeRecordReader();
  const refusals = new Refusals();
  let entries = 0;
  let bytes = 0;
  for (let chunk = await stream.next(signal); chunk !== null; chunk = await stream.next(signal)) {
    const events: (TreeEvent | VoidFile)[] = [];
    for (const record of reader.push(chunk)) {
      if (record.type === "problem") {
        refusals.add(record.problem.path, record.problem.message);
        if (record.voids) events.push({ type: "void" });
        continue;
      }
      if (record.type === "entry") {
        if ((entries === 0) !== (record.entry.path.length === 0))
          throw new ProtocolError("the guest sent a tree that has no root, or two");
        entries++;
      } else if (record.type === "data") bytes += record.bytes.length;
      events.push(record satisfies TreeRecord);
    }
    await place.writer.write(events);
    onProgress?.({ entries, bytes });
  }
  reader.end();
  // It has ended, and says here how.
  await stream.finished(signal);
  if (entries === 0) throw new ProtocolError("the guest sent nothing of what it had opened");
  return refusals;
}

/** Where a tree goes: into the directory that is there, or under a name of its own until it is whole. */
class Place {
  readonly writer: TreeWriter;
  readonly #target: string;
  /** null for a directory that is there. */
  readonly #aside: string | null;

  private constructor(writer: TreeWriter, target: string, aside: string | null) {
    this.writer = writer;
    this.#target = target;
    this.#aside = aside;
  }

  static async open(target: string, standing: Standing, { archive = false }: FsCopyOptions): Promise<Place> {
    const style = { owners: archive, specialBits: archive };
    if (standing === "directory") return new Place(await TreeWriter.open(target, style), target, null);
    const name = `.msb-partial-${randomBytes(8).toString("hex")}`;
    const writer = await TreeWriter.open(dirname(target), { ...style, name });
    return new Place(writer, target, join(dirname(target), name));
  }

  /** Puts what has come in its place. @throws IoError when its root could not be written */
  async finish(refusals: Refusals): Promise<void> {
    const { refused, refusedCount } = await this.writer.finish();
    for (const { path, reason, message } of refused) {
      if (path.length > 0 || reason === "attributes") refusals.add(path, message);
      else throw rootRefused(this.#target, message);
    }
    refusals.addUnnamed(refusedCount - refused.length);
    if (this.#aside === null) return;
    try {
      await rename(this.#aside, this.#target);
    } catch (error) {
      throw ioError(`write ${this.#target}`, error, "userFile");
    }
  }

  /** Leaves nothing that was not there. Never throws: there is an error already. */
  async abort(): Promise<void> {
    await this.writer.abort().catch(() => undefined);
    if (this.#aside === null) return;
    // Its directories may have modes that keep even their owner out. What is in the way of that says less than why it was given up.
    const aside = Buffer.from(this.#aside);
    await removeTree({ path: aside }).catch(() => unlink(aside).catch(() => undefined));
  }
}

function rootRefused(target: string, message: string): IoError {
  return new IoError(`cannot write ${target}: ${message}`, {
    hint: `Name a path where nothing stands yet, such as one in ${basename(target)}.`,
  });
}
