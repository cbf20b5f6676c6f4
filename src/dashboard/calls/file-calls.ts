import { isUtf8 } from "node:buffer";
import * as v from "valibot";
import { Sandbox, type GuestFsEntry, type SandboxFs } from "../../api/index.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type { FileRow } from "../wire.ts";
import { name, type SomeCalls } from "./call.ts";

/** Of a directory, at most so many names are told. */
const mostEntries = 2000;
/** Of a file, at most so many bytes are shown. */
const mostShown = 256 << 10;

const place = v.strictObject({ name, path: v.string() });

export const fileCalls: SomeCalls<"files.list" | "files.view"> = {
  "files.list": {
    args: place,
    run: ({ name, path }, signal) =>
      withFiles(name, async (fs) => {
        const directory = pathOf(path);
        const entries = await fs.list(directory, { signal });
        entries.sort(directoriesFirst);
        return {
          path: directory.toString("utf8"),
          entries: entries.slice(0, mostEntries).map(rowOf),
          more: Math.max(0, entries.length - mostEntries),
        };
      }),
  },
  "files.view": {
    args: place,
    run: ({ name, path }, signal) =>
      withFiles(name, async (fs) => {
        const { kind } = await fs.stat(pathOf(path), { signal });
        if (kind === "directory") return { isDirectory: true, text: null, size: 0, cut: false };
        await using stream = await fs.readStream(pathOf(path), { length: mostShown + 1, signal });
        const bytes = await stream.collect({ signal });
        const cut = bytes.length > mostShown;
        const shown = bytes.subarray(0, mostShown);
        const isText = !shown.includes(0) && (cut ? isUtf8(withoutLastCharacter(shown)) : isUtf8(shown));
        return {
          isDirectory: false,
          text: isText ? shown.toString("utf8") : null,
          size: Math.max(stream.size, bytes.length),
          cut,
        };
      }),
  },
};

/** A path of the guest, whose bytes come in base64url. @throws InvalidConfigError */
export function pathOf(text: string): Buffer {
  const path = Buffer.from(text, "base64url");
  if (path[0] !== 0x2f) throw new InvalidConfigError("the path is not absolute");
  return path;
}

async function withFiles<T>(name: string, work: (fs: SandboxFs) => Promise<T>): Promise<T> {
  const handle = await Sandbox.get(name);
  await using sandbox = await handle.connect();
  return await work(sandbox.fs());
}

/** What was cut may end in the middle of a character of up to four bytes. */
function withoutLastCharacter(bytes: Buffer): Buffer {
  let end = bytes.length;
  for (let steps = 0; steps < 4 && end > 0; steps++) {
    end--;
    if (((bytes[end] ?? 0) & 0xc0) !== 0x80) break;
  }
  return bytes.subarray(0, end);
}

function directoriesFirst(a: GuestFsEntry, b: GuestFsEntry): number {
  const [first, second] = [a, b].map(({ kind }) => (kind === "directory" ? 0 : 1)) as [number, number];
  return first - second || Buffer.compare(a.pathBytes, b.pathBytes);
}

function rowOf(entry: GuestFsEntry): FileRow {
  const { kind, size, mode, modified, target, pathBytes } = entry;
  return {
    name: pathBytes.subarray(pathBytes.lastIndexOf(0x2f) + 1).toString("utf8"),
    path: pathBytes.toString("base64url"),
    ...{ kind, size, target },
    mode: modeText(kind, mode),
    modified: modified?.getTime() ?? null,
  };
}

const letters = { file: "-", directory: "d", symlink: "l", other: "?" } as const;

/** `drwxr-xr-x` */
function modeText(kind: FileRow["kind"], mode: number): string {
  const bits = [6, 3, 0].map((shift) => {
    const part = (mode >> shift) & 7;
    return `${part & 4 ? "r" : "-"}${part & 2 ? "w" : "-"}${part & 1 ? "x" : "-"}`;
  });
  return letters[kind] + bits.join("");
}
