import type { BigIntStats } from "node:fs";
import { chmod, mkdir, readdir, readlink, symlink, unlink } from "node:fs/promises";
import { statusOf, unlessThere, type Place } from "../../host/contained/contained-directory.ts";
import { Descent } from "../../host/contained/descent.ts";
import { errorCode, systemReason } from "../../host/system-error.ts";
import type { HeldDirectory } from "../../host/contained/held-directory.ts";
import { copyRegular, systemError, type AnyPlace } from "./volume-write.ts";

/**
 * Copies a file or a directory with all that is in it. Directories that are there already are filled, files are replaced; links are
 * copied as they are, and what is copied takes the place of links. Pipes, sockets and devices are refused.
 *
 * @param signal given up between two files: those that are copied stay
 * @throws what the system reports, with the path of what is in the directory; EINVAL for what cannot be copied, and for a directory
 *   into itself
 */
export async function copyTree(source: Place, target: Place, signal?: AbortSignal): Promise<void> {
  const status = await statusOf(source.path);
  if (status === null) throw systemError("ENOENT", "no such file or directory");
  // Links were followed: somebody has just put it there.
  if (status.isSymbolicLink()) throw systemError("ELOOP", "it is a symbolic link");
  if (!status.isDirectory()) {
    await copyRegular(source, target);
    return;
  }
  if (target.name !== ".") await mkdir(target.path, 0o755).catch(unlessThere);
  await fill(source.path, target.path, signal);
}

async function fill(source: Buffer, target: Buffer, signal: AbortSignal | undefined): Promise<void> {
  await using from = await Descent.open(source);
  await using to = await Descent.open(target);
  // Met in what is copied, there would be no end.
  const top = to.identity;
  /** What is still to be copied in each directory on the way. */
  const way = [await namesIn(from, top)];
  /** Of the directory that it is in. */
  const path: Buffer[] = [];
  for (let names = way.at(-1); names !== undefined; names = way.at(-1)) {
    signal?.throwIfAborted();
    const name = names.pop();
    if (name !== undefined) {
      try {
        if (await copyNamed(from, to, name)) {
          path.push(name);
          way.push(await namesIn(from, top));
        }
      } catch (error) {
        throw at([...path, name], error);
      }
      continue;
    }
    const mode = (await statusNow(from.here)).mode & 0o7777n;
    way.pop();
    if (way.length === 0) {
      await chmod(to.here.itself, Number(mode));
      return;
    }
    path.pop();
    await (await from.up()).close();
    // Its mode may allow no way up from it.
    await using left = await to.up();
    await chmod(left.itself, Number(mode));
  }
}

/** Says where in the tree it was. */
function at(path: readonly Buffer[], error: unknown): unknown {
  const code = errorCode(error);
  if (code === undefined) return error;
  return Object.assign(new Error(`${systemReason(error)}: ${path.join("/")}`, { cause: error }), { code });
}

async function namesIn({ here, identity }: Descent, top: string): Promise<Buffer[]> {
  if (identity === top) throw systemError("EINVAL", "a directory cannot be copied into itself");
  return await readdir(here.at(), { encoding: "buffer" });
}

/** Copies what has a name. A directory is made and entered. @returns whether it was one */
async function copyNamed(from: Descent, to: Descent, name: Buffer): Promise<boolean> {
  const inner = { directory: from.here, name, path: from.here.at(name) };
  const into = { directory: to.here, name, path: to.here.at(name) };
  const found = await statusOf(inner.path);
  if (found?.isDirectory() === true) {
    await mkdir(into.path, 0o755).catch(unlessThere);
    await from.down(name);
    await to.down(name);
    return true;
  }
  if (found !== null) await copyNode(inner, into, found.isSymbolicLink());
  return false;
}

async function statusNow(directory: HeldDirectory): Promise<BigIntStats> {
  const status = await statusOf(directory.at());
  if (status === null) throw systemError("ENOENT", "no such file or directory");
  return status;
}

async function copyNode(source: AnyPlace, target: AnyPlace, isLink: boolean): Promise<void> {
  if (!isLink) {
    await copyRegular(source, target, true);
    return;
  }
  const content = await readlink(source.path, { encoding: "buffer" });
  const old = await statusOf(target.path);
  if (old?.isDirectory() === false) await unlink(target.path);
  await symlink(content, target.path);
}
