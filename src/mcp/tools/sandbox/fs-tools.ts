import { basename } from "node:path";
import * as v from "valibot";
import type { GuestFsEntry, Sandbox } from "../../../api/index.ts";
import { tool, type ToolCall } from "../../call/tool.ts";
import { ToolError } from "../../call/tool-failure.ts";
import {
  encoding,
  flag,
  guestPath,
  hostPath,
  maxBytes,
  optionalText,
  optionalWhole,
  sandboxName,
  text,
} from "../../inputs/fields.ts";
import { fromText } from "../../inputs/command-input.ts";
import { entryRow, metadataRow, partOf } from "../file-rows.ts";

const place = { name: sandboxName, path: guestPath };

const read = tool({
  name: "sandbox_fs_read",
  description: "A file of the guest, or a part of it.",
  effect: "reads",
  input: {
    ...place,
    encoding,
    maxBytes,
    offset: optionalWhole(0, Number.MAX_SAFE_INTEGER, "Bytes from its beginning."),
  },
  run: async ({ name, path, encoding: how = "utf8", maxBytes: asked, offset = 0 }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => {
      const most = Math.min(asked ?? Infinity, bench.settings.maxOutputBytes);
      const { size } = await sandbox.fs().stat(path, { signal });
      // One more tells whether that is all.
      const bytes = await sandbox.fs().read(path, { offset, length: most + 1, signal });
      return partOf(bytes, most, offset, Math.max(size, offset + bytes.length), how);
    }),
});

const write = tool({
  name: "sandbox_fs_write",
  description:
    "Writes a file of the guest, new or in the place of the old one. Its directory has to be there.",
  effect: "changes",
  input: {
    ...place,
    content: text("What it is to hold."),
    encoding,
    mode: optionalWhole(0, 0o7777, "Permissions as a number: 420 is 0644."),
  },
  run: async ({ name, path, content, encoding: how, mode }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => {
      const bytes = fromText("content", content, how);
      await sandbox.fs().write(path, bytes, { signal, mode });
      return { data: { path, writtenBytes: bytes.length } };
    }),
});

const mostEntries = 5000;

const list = tool({
  name: "sandbox_fs_list",
  description: "What is in a directory of the guest.",
  effect: "reads",
  input: {
    ...place,
    recursive: flag("Everything below it, too."),
    limit: optionalWhole(1, mostEntries, `Entries at most (${mostEntries}).`),
  },
  run: async ({ name, path, recursive = false, limit = mostEntries }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => {
      const entries: GuestFsEntry[] = [];
      let more = false;
      const found = recursive
        ? sandbox.fs().list(path, { recursive: true, signal })
        : await sandbox.fs().list(path, { signal });
      for await (const entry of found) {
        more = entries.length === limit;
        if (more) break;
        entries.push(entry);
      }
      const warnings = more ? [`there is more than ${limit} entries: list a directory below it`] : [];
      return { data: { path, entries: entries.map(entryRow), complete: !more }, warnings };
    }),
});

const mkdir = tool({
  name: "sandbox_fs_mkdir",
  description: "Makes a directory of the guest, and those above it.",
  effect: "changes",
  input: place,
  run: async ({ name, path }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => {
      await sandbox.fs().mkdir(path, { signal });
      return { data: { path } };
    }),
});

const remove = tool({
  name: "sandbox_fs_remove",
  description: "Removes a file of the guest, or a directory with all that is in it.",
  effect: "destroys",
  input: {
    ...place,
    kind: v.optional(
      v.pipe(
        v.picklist(["auto", "file", "dir"]),
        v.description("What it has to be; auto (default): either."),
      ),
    ),
  },
  run: async ({ name, path, kind = "auto" }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => {
      const fs = sandbox.fs();
      const isDirectory =
        kind === "dir" ||
        (kind === "auto" && (await fs.stat(path, { followSymlinks: false, signal })).kind === "directory");
      await (isDirectory ? fs.removeDir(path, { signal }) : fs.remove(path, { signal }));
      return { data: { path, removed: isDirectory ? "dir" : "file" } };
    }),
});

const stat = tool({
  name: "sandbox_fs_stat",
  description: "Kind, size, permissions, owner and times of a file of the guest.",
  effect: "reads",
  input: place,
  run: async ({ name, path }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => ({
      data: { path, ...metadataRow(await sandbox.fs().stat(path, { signal })) },
    })),
});

const exists = tool({
  name: "sandbox_fs_exists",
  description: "Whether there is something at a path of the guest.",
  effect: "reads",
  input: place,
  run: async ({ name, path }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => ({
      data: { path, exists: await sandbox.fs().exists(path, { signal }) },
    })),
});

const rename = tool({
  name: "sandbox_fs_rename",
  description: "Gives a file or a directory of the guest another path. A file that is there is replaced.",
  effect: "changes",
  input: { name: sandboxName, from: guestPath, to: guestPath },
  run: async ({ name, from, to }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (sandbox) => {
      await sandbox.fs().rename(from, to, { signal });
      return { data: { from, to } };
    }),
});

const copy = tool({
  name: "sandbox_fs_copy",
  description: "Copies a file within the guest, or into another sandbox.",
  effect: "changes",
  input: {
    name: sandboxName,
    from: guestPath,
    to: guestPath,
    toName: optionalText("The sandbox it goes into; by default the same."),
  },
  run: async ({ name, from, to, toName = name }, { bench, signal }) =>
    await bench.sandboxes.use(name, signal, async (source) => {
      if (toName === name) {
        await source.fs().copy(from, to, { signal });
        return { data: { from, to, toName } };
      }
      const copiedBytes = await bench.sandboxes.use(toName, signal, (target) =>
        copyAcross(source, from, target, to, signal),
      );
      return { data: { from, to, toName, copiedBytes } };
    }),
});

async function copyAcross(
  source: Sandbox,
  from: string,
  target: Sandbox,
  to: string,
  signal: AbortSignal,
): Promise<number> {
  const { mode } = await source.fs().stat(from, { signal });
  await using reader = await source.fs().readStream(from, { signal });
  const sink = await target.fs().writeStream(to, { mode: mode & 0o777, signal });
  let copied = 0;
  try {
    for (let chunk = await reader.recv({ signal }); chunk !== null; chunk = await reader.recv({ signal })) {
      copied += chunk.length;
      await sink.write(chunk, { signal });
    }
  } catch (error) {
    sink.abort();
    throw error;
  }
  await sink.close({ signal });
  return copied;
}

const copyFromHost = tool({
  name: "sandbox_fs_copy_from_host",
  description:
    "Copies a file or a directory of the host's computer into the guest. The guest's path is that of the copy itself.",
  effect: "changes",
  input: { name: sandboxName, hostPath, path: guestPath },
  run: async ({ name, hostPath: given, path }, call) =>
    await call.bench.sandboxes.use(name, call.signal, async (sandbox) => {
      await using source = await call.bench.paths.source(given);
      await named(given, source.path, () =>
        sandbox.fs().copyFromHost(source.path, path, { signal: call.signal, onProgress: copied(call) }),
      );
      return { data: { hostPath: given, path } };
    }),
});

const copyToHost = tool({
  name: "sandbox_fs_copy_to_host",
  description:
    "Copies a file or a directory of the guest to the host's computer: to a path where nothing is, or into a directory that is there.",
  effect: "changes",
  input: {
    name: sandboxName,
    path: guestPath,
    hostPath,
    overwrite: flag("Take the place of a file that is there."),
  },
  run: async ({ name, path, hostPath: given, overwrite = false }, call) =>
    await call.bench.sandboxes.use(name, call.signal, async (sandbox) => {
      const written = await call.bench.paths.target(given, basename(path), overwrite, (aside) =>
        named(given, aside, () =>
          sandbox.fs().copyToHost(path, aside, { signal: call.signal, onProgress: copied(call) }),
        ),
      );
      return { data: { path, hostPath: written } };
    }),
});

function copied(call: ToolCall): (progress: { readonly entries: number; readonly bytes: number }) => void {
  return ({ entries, bytes }) => {
    call.progress(`copied ${entries} files, ${bytes} bytes`);
  };
}

/** Failures tell the path that was given, and not that of the descriptor by which it is held. */
export async function named<T>(given: string, held: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ToolError || !(error instanceof Error)) throw error;
    error.message = error.message.replaceAll(held, given);
    throw error;
  }
}

export const fsTools = [
  read,
  write,
  list,
  mkdir,
  remove,
  stat,
  copy,
  rename,
  exists,
  copyFromHost,
  copyToHost,
];
