import type { BigIntStats } from "node:fs";
import { chmod, mkdir, readdir, readlink, symlink, unlink } from "node:fs/promises";
import {
  OpenDirectory,
  statusOf,
  unlessThere,
  type Place,
} from "../../host/contained/contained-directory.ts";
import { copyRegular, systemError, type AnyPlace } from "./volume-write.ts";

/**
 * Copies a file or a directory with all that is in it. Directories that are there already are filled, files are replaced; links are
 * copied as they are. Pipes, sockets and devices are refused.
 *
 * @param signal given up between two files: those that are copied stay
 * @throws what the system reports; EINVAL for what cannot be copied, and for a directory into itself
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
  await using top = await OpenDirectory.open(target.path);
  await fill(source.path, target.path, await identityOf(top), signal);
}

/** @param top identity of the outermost target: met in what is copied, there would be no end */
async function fill(
  source: Buffer,
  target: Buffer,
  top: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using from = await OpenDirectory.open(source);
  if ((await identityOf(from)) === top)
    throw systemError("EINVAL", "a directory cannot be copied into itself");
  await using to = await OpenDirectory.open(target);
  for (const name of await readdir(from.at(), { encoding: "buffer" })) {
    signal?.throwIfAborted();
    const inner = { directory: from, name, path: from.at(name) };
    const into = { directory: to, name, path: to.at(name) };
    const found = await statusOf(inner.path);
    if (found?.isDirectory() === true) {
      await mkdir(into.path, 0o755).catch(unlessThere);
      await fill(inner.path, into.path, top, signal);
    } else if (found !== null) await copyNode(inner, into, found.isSymbolicLink());
  }
  const { mode } = await statusNow(from);
  await chmod(to.at(), Number(mode) & 0o7777);
}

async function identityOf(directory: OpenDirectory): Promise<string> {
  const { dev, ino } = await statusNow(directory);
  return `${dev}:${ino}`;
}

async function statusNow(directory: OpenDirectory): Promise<BigIntStats> {
  const status = await statusOf(directory.at());
  if (status === null) throw systemError("ENOENT", "no such file or directory");
  return status;
}

async function copyNode(source: AnyPlace, target: AnyPlace, isLink: boolean): Promise<void> {
  if (!isLink) {
    await copyRegular(source, target);
    return;
  }
  const content = await readlink(source.path, { encoding: "buffer" });
  const old = await statusOf(target.path);
  if (old?.isDirectory() === false) await unlink(target.path);
  await symlink(content, target.path);
}
