import { constants, lstatSync, type BigIntStats } from "node:fs";
import { open, readdir, readlink } from "node:fs/promises";
import { resolve } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import { locate, OutsideError, statusOf, type Place } from "../../host/contained/contained-directory.ts";
import { HeldDirectory } from "../../host/contained/held-directory.ts";
import type { FileProvider, ProvidedEntry, ProvidedStat } from "../file-provider.ts";
import { systemError } from "../fuse/linux-errors.ts";
import { mistakeIn } from "../fuse/names.ts";

/** How many entries of a directory are looked at at a time. */
const mostLooks = 32;

/**
 * A directory of the host that can be read and not written, whatever the guest does. Nothing leads out of it: links are told as they
 * are and followed by the guest alone. Files, directories and links are there; devices, pipes, sockets, and names that are no UTF-8 are not. Files of the user who
 * runs this program are root's in the guest, as in `bind()`, which is quicker and takes Linux on the host.
 *
 * @throws InvalidConfigError for what is no directory
 *
 * @example
 * ```ts
 * import { memory, readOnly, Sandbox, union } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("read-only-example")
 *   .image("localhost/base")
 *   .volume("/src", (m) => m.provider(readOnly(import.meta.dirname)))
 *   .volume("/work", (m) => m.provider(union(memory(), readOnly(import.meta.dirname))))
 *   .replace()
 *   .create();
 * console.log((await sandbox.shell("touch /src/new || touch /work/new && ls /work")).stdout());
 * ```
 */
export function readOnly(directory: string): FileProvider {
  const root = resolve(directory);
  requireDirectory(root);
  return {
    stat: async (path) => await at(root, path, async (place) => statOf(await existing(place, path), path)),
    list: async (path) => await at(root, path, (place) => entriesOf(place, path)),
    read: async (path, offset, length) =>
      await at(root, path, (place) => readFrom(place, path, offset, length)),
    readLink: async (path) => await at(root, path, (place) => readlink(place.path, "utf8")),
  };
}

function requireDirectory(path: string): void {
  try {
    if (lstatSync(path).isDirectory()) return;
  } catch (error) {
    throw new InvalidConfigError(`the directory ${path} of readOnly() cannot be read`, {
      cause: error,
      hint: "Correct the path.",
    });
  }
  throw new InvalidConfigError(`${path}, of readOnly(), is no directory`, { hint: "Name a directory." });
}

/** Does something at a place below a directory, which whoever changes it meanwhile cannot lead out of. */
async function at<T>(root: string, path: string, work: (place: Place) => Promise<T>): Promise<T> {
  try {
    const place = await locate(root, path, { follow: false });
    await using _directory = place.directory;
    return await work(place);
  } catch (error) {
    // A link has come into the place of a directory since the guest looked at it.
    if (error instanceof OutsideError) throw systemError("EACCES", path);
    throw error;
  }
}

async function existing(place: Place, path: string): Promise<BigIntStats> {
  const status = await statusOf(place.path);
  if (status === null) throw systemError("ENOENT", path);
  return status;
}

function statOf(status: BigIntStats, path: string): ProvidedStat {
  const kind = kindOf(status);
  if (kind === null) throw systemError("ENOENT", path);
  const own = process.getuid?.();
  const isOwn = own !== undefined && Number(status.uid) === own;
  return {
    kind,
    size: kind === "directory" ? 0 : Number(status.size),
    mode: Number(status.mode) & 0o777,
    uid: isOwn ? 0 : Number(status.uid),
    gid: isOwn ? 0 : Number(status.gid),
    mtimeMs: Number(status.mtimeNs) / 1e6,
    atimeMs: Number(status.atimeNs) / 1e6,
    ctimeMs: Number(status.ctimeNs) / 1e6,
    usedBytes: Number(status.blocks) * 512,
  };
}

function kindOf(status: BigIntStats): ProvidedStat["kind"] | null {
  if (status.isFile()) return "file";
  if (status.isDirectory()) return "directory";
  return status.isSymbolicLink() ? "symlink" : null;
}

async function entriesOf({ path }: Place, asked: string): Promise<ProvidedEntry[]> {
  // Opened first, and no link is followed: what is listed is what was looked up.
  await using directory = await HeldDirectory.openItself(path);
  const found = await readdir(directory.at(), { encoding: "buffer" });
  const names = found.filter((each) => isText(each)).map((each) => each.toString());
  const entries: ProvidedEntry[] = [];
  for (let begin = 0; begin < names.length; begin += mostLooks) {
    const looked = await Promise.all(
      names.slice(begin, begin + mostLooks).map(async (name) => {
        const status = await statusOf(directory.at(name));
        return status === null || kindOf(status) === null ? [] : [{ name, stat: statOf(status, asked) }];
      }),
    );
    entries.push(...looked.flat());
  }
  return entries;
}

function isText(name: Buffer): boolean {
  const text = name.toString();
  return mistakeIn(text) === null && Buffer.from(text).equals(name);
}

async function readFrom({ path }: Place, asked: string, offset: number, length: number): Promise<Uint8Array> {
  // A pipe that has come there would be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw systemError("EISDIR", asked);
    const bytes = new Uint8Array(length);
    let count = 0;
    while (count < length) {
      const { bytesRead } = await file.read(bytes, count, length - count, offset + count);
      if (bytesRead === 0) break;
      count += bytesRead;
    }
    return bytes.subarray(0, count);
  } finally {
    await file.close();
  }
}
