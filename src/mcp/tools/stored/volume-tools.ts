import * as v from "valibot";
import { Volume, type VolumeFs } from "../../../api/index.ts";
import { tool, type Tool } from "../../call/tool.ts";
import { fromText } from "../../inputs/command-input.ts";
import { encoding, flag, given, maxBytes, optionalWhole, text, textRecord } from "../../inputs/fields.ts";
import { entryRow, metadataRow, partOf } from "../file-rows.ts";
import { volumeRow } from "../listings.ts";

const volumeName = text("Name of the volume.");
const path = text("Path below the volume's root.");

const create = tool({
  name: "volume_create",
  description:
    "Makes a named volume, which outlives the sandboxes that mount it: a directory, or a disk of a size.",
  effect: "changes",
  input: {
    name: volumeName,
    kind: v.optional(v.picklist(["dir", "disk"])),
    quotaMib: optionalWhole(1, 1 << 30, "How much guests may add to a directory, MiB."),
    sizeMib: optionalWhole(16, 1 << 30, "What a disk can hold, MiB."),
    labels: textRecord("Labels."),
  },
  run: async (input, { signal }) => {
    await Volume.create(given(input), { signal });
    return { data: volumeRow(await Volume.get(input.name, { signal })) };
  },
});

const list = tool({
  name: "volume_list",
  description: "All named volumes.",
  effect: "reads",
  input: {},
  run: async (_input, { signal }) => ({ data: { volumes: (await Volume.list({ signal })).map(volumeRow) } }),
});

const inspect = tool({
  name: "volume_inspect",
  description: "What is known about a volume.",
  effect: "reads",
  input: { name: volumeName },
  run: async ({ name }, { signal }) => ({ data: volumeRow(await Volume.get(name, { signal })) }),
});

const remove = tool({
  name: "volume_remove",
  description: "Removes a volume with its data. One that a running sandbox uses stays.",
  effect: "destroys",
  input: { name: volumeName },
  run: async ({ name }, { signal }) => {
    await Volume.remove(name, { signal });
    return { data: { name, removed: true } };
  },
});

async function filesOf(name: string, signal: AbortSignal): Promise<VolumeFs> {
  return (await Volume.get(name, { signal })).fs();
}

const read = tool({
  name: "volume_fs_read",
  description: "A file of a volume, or a part of it. No sandbox is needed.",
  effect: "reads",
  input: {
    name: volumeName,
    path,
    encoding,
    maxBytes,
    offset: optionalWhole(0, Number.MAX_SAFE_INTEGER, "Bytes from its beginning."),
  },
  run: async (
    { name, path: file, encoding: how = "utf8", maxBytes: asked, offset = 0 },
    { bench, signal },
  ) => {
    const fs = await filesOf(name, signal);
    const most = Math.min(asked ?? Infinity, bench.settings.maxOutputBytes);
    const { size } = await fs.stat(file, { signal });
    await using stream = await fs.readStream(file, { signal });
    const pieces: Buffer[] = [];
    let passed = 0;
    let kept = 0;
    for (
      let chunk = await stream.recv({ signal });
      chunk !== null && kept <= most;
      chunk = await stream.recv({ signal })
    ) {
      const piece = chunk.subarray(Math.max(0, offset - passed)).subarray(0, most + 1 - kept);
      passed += chunk.length;
      kept += piece.length;
      pieces.push(Buffer.from(piece));
    }
    return partOf(Buffer.concat(pieces), most, offset, Math.max(size, offset + kept), how);
  },
});

const write = tool({
  name: "volume_fs_write",
  description: "Writes a file of a volume, and makes the directories on the way.",
  effect: "changes",
  input: { name: volumeName, path, content: text("What it is to hold."), encoding },
  run: async ({ name, path: file, content, encoding: how }, { signal }) => {
    const bytes = fromText("content", content, how);
    await (await filesOf(name, signal)).write(file, bytes, { signal });
    return { data: { path: file, writtenBytes: bytes.length } };
  },
});

const listFiles = tool({
  name: "volume_fs_list",
  description: "What is in a directory of a volume.",
  effect: "reads",
  input: { name: volumeName, path },
  run: async ({ name, path: directory }, { signal }) => ({
    data: {
      path: directory,
      entries: (await (await filesOf(name, signal)).list(directory, { signal })).map(entryRow),
    },
  }),
});

const mkdir = tool({
  name: "volume_fs_mkdir",
  description: "Makes a directory of a volume, and those above it.",
  effect: "changes",
  input: { name: volumeName, path },
  run: async ({ name, path: directory }, { signal }) => {
    await (await filesOf(name, signal)).mkdir(directory, { signal });
    return { data: { path: directory } };
  },
});

const removeFile = tool({
  name: "volume_fs_remove",
  description: "Removes a file of a volume, or a directory with all that is in it.",
  effect: "destroys",
  input: { name: volumeName, path, recursive: flag("A directory may be removed, too.") },
  run: async ({ name, path: file, recursive = false }, { signal }) => {
    const fs = await filesOf(name, signal);
    const isDirectory = recursive && (await fs.stat(file, { signal })).kind === "directory";
    await (isDirectory ? fs.removeDir(file, { signal }) : fs.remove(file, { signal }));
    return { data: { path: file, removed: true } };
  },
});

/** Two that take where from and where to. */
function twoPaths(what: "copy" | "rename", description: string): Tool {
  return tool({
    name: `volume_fs_${what}`,
    description,
    effect: "changes",
    input: { name: volumeName, from: path, to: path },
    run: async ({ name, from, to }, { signal }) => {
      await (await filesOf(name, signal))[what](from, to, { signal });
      return { data: { from, to } };
    },
  });
}

const copy = twoPaths("copy", "Copies a file, or a directory with all that is in it, within a volume.");
const rename = twoPaths("rename", "Gives a file or a directory of a volume another path.");

const stat = tool({
  name: "volume_fs_stat",
  description: "Kind, size, permissions and times of a file of a volume.",
  effect: "reads",
  input: { name: volumeName, path },
  run: async ({ name, path: file }, { signal }) => ({
    data: { path: file, ...metadataRow(await (await filesOf(name, signal)).stat(file, { signal })) },
  }),
});

const exists = tool({
  name: "volume_fs_exists",
  description: "Whether there is something at a path of a volume.",
  effect: "reads",
  input: { name: volumeName, path },
  run: async ({ name, path: file }, { signal }) => ({
    data: { path: file, exists: await (await filesOf(name, signal)).exists(file, { signal }) },
  }),
});

export const volumeTools = [
  create,
  list,
  inspect,
  remove,
  read,
  write,
  listFiles,
  mkdir,
  removeFile,
  copy,
  rename,
  stat,
  exists,
];
