import { basename } from "node:path";
import type { GuestFill } from "../guest-setup/guest-fill.ts";
import { readTree } from "../host/tree/read-tree.ts";
import { shownPath, type TreeEvent } from "../host/tree/tree.ts";
import type { PatchApplyMessage, PatchKind } from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import { encodeData, encodeEntry, encodeHole } from "../protocol/tree-records.ts";
import { PatchStream, type PatchName } from "./patch-stream.ts";

type Open = (request: PatchApplyMessage, handler: StreamHandler) => Stream;
type Patch = GuestFill["patches"][number];

/** What one patch is to the agent, and what it consists of. */
interface Order {
  readonly name: PatchName;
  readonly kind: PatchKind;
  readonly path: string;
  readonly mode?: number | undefined;
  readonly replace?: boolean;
  readonly target?: string;
  readonly content?: string | Buffer;
  /** A path of the host that is copied. */
  readonly source?: string;
  /** No directory is replaced by anything else. */
  readonly keepDirectories?: boolean;
  /** The name of a file in a directory that it goes into. */
  readonly into?: string;
}

const scriptMode = 0o755;

/**
 * Puts into a guest's root what its boot cannot bring, one thing after another. Memory does not grow with it.
 *
 * @throws PatchFailedError that names the patch, and nothing after it is done; the signal's reason
 */
export async function applyFill(open: Open, fill: GuestFill, signal: AbortSignal): Promise<void> {
  for (const patch of fill.patches) await apply(open, orderOf(patch), fill.inPlace, signal);
  for (const [script, content] of fill.scripts) {
    const path = `/.msb/scripts/${script}`;
    const order = { name: { kind: "script", path }, kind: "script", path, content } as const;
    await apply(open, { ...order, mode: scriptMode, replace: true }, fill.inPlace, signal);
  }
}

function orderOf(patch: Patch): Order {
  switch (patch.kind) {
    case "text":
    case "file":
      return { name: patch, kind: "file", path: patch.path, ...made(patch), content: patch.content };
    case "copyFile":
    case "copyDir": {
      const { kind, src, dst, keepDirectories = false } = patch;
      const isInto = kind === "copyFile" && dst.endsWith("/");
      const path = isInto ? `${dst}${basename(src)}` : dst;
      const into = keepDirectories && kind === "copyFile" && !isInto ? basename(src) : "";
      const order = { name: { kind, path }, kind: "tree", path, ...made(patch) } as const;
      return { ...order, source: src, keepDirectories, into };
    }
    case "symlink": {
      const { kind, link, target, replace } = patch;
      return { name: { kind, path: link }, kind, path: link, target, replace };
    }
    case "mkdir":
      return { name: patch, kind: "directory", path: patch.path, ...made(patch) };
    case "remove":
      return { name: patch, kind: "remove", path: patch.path };
    case "append":
      return { name: patch, kind: "append", path: patch.path, content: patch.content };
  }
}

function made(patch: {
  readonly mode?: number;
  readonly replace?: boolean;
}): Pick<Order, "mode" | "replace"> {
  return { mode: patch.mode, replace: patch.replace ?? false };
}

async function apply(open: Open, order: Order, inPlace: boolean, signal: AbortSignal): Promise<void> {
  const { name, kind, path, mode, replace = false, target = "", content, source, into = "" } = order;
  const request: PatchApplyMessage = {
    ...{ type: "PatchApply", kind, path: Buffer.from(path), mode: mode ?? null },
    ...{ replace, target: Buffer.from(target), inPlace, into: Buffer.from(into) },
    // A directory of the host's goes only when a patch says that it removes it.
    keepDirectories: inPlace || (order.keepDirectories ?? false),
  };
  const stream = new PatchStream(open, request, { kind: name.kind, path: name.path }, signal);
  if (source !== undefined) await sendTree(stream, source, signal);
  if (content !== undefined) await stream.write(Buffer.from(content));
  await stream.finish();
}

/** @throws PatchFailedError also for what cannot be read here */
async function sendTree(stream: PatchStream, source: string, signal: AbortSignal): Promise<void> {
  const tree = readTree(source, { followRoot: true, recycle: true, signal });
  for (;;) {
    let batch: IteratorResult<TreeEvent[], unknown>;
    try {
      batch = await tree.next();
    } catch (error) {
      signal.throwIfAborted();
      throw stream.failed(error instanceof Error ? error.message : String(error), error);
    }
    if (batch.done === true) return;
    try {
      for (const event of batch.value) await send(stream, source, event);
    } catch (error) {
      await tree.return(undefined);
      throw error;
    }
  }
}

async function send(stream: PatchStream, source: string, event: TreeEvent): Promise<void> {
  switch (event.type) {
    case "entry":
      if (event.entry.kind === "other") {
        const path = event.entry.path.length === 0 ? source : `${source}/${shownPath(event.entry.path)}`;
        throw stream.failed(`${path} is a device, a pipe or a socket, which is not copied`);
      }
      await stream.write(encodeEntry(event.entry));
      return;
    case "data": {
      const { bytes } = event;
      await stream.write(encodeData(bytes.length));
      await stream.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      return;
    }
    case "hole":
      await stream.write(encodeHole(event.length));
  }
}
