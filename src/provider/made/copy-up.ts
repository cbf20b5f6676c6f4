import { afterwards } from "../afterwards.ts";
import type { FileProvider, NewAttributes, ProvidedStat, ProviderCall } from "../file-provider.ts";
import { systemError } from "../fuse/linux-errors.ts";
import { removedName } from "../fuse/names.ts";

/** Bytes at a time: what a provider is asked for at most. */
const portion = 256 << 10;
const permissions = { file: 0o644, directory: 0o755, symlink: 0o777 } as const;

/**
 * Copies a file, a directory (without what is in it) or a link from one provider into another one. A file is there when all of it is,
 * where `to` can rename; one whose copy fails, or is aborted, is not.
 *
 * @throws what they do; EROFS where `to` cannot have it; the signal's reason
 */
export async function copyBetween(
  from: FileProvider,
  to: FileProvider,
  path: string,
  stat: ProvidedStat,
  call: ProviderCall,
): Promise<void> {
  const attributes: NewAttributes = {
    mode: stat.mode ?? permissions[stat.kind],
    uid: stat.uid ?? 0,
    gid: stat.gid ?? 0,
  };
  if (stat.kind === "directory") await required(to.mkdir?.(path, attributes, call), path);
  else if (stat.kind === "symlink") {
    const target = await required(from.readLink?.(path, call), path);
    await required(to.symlink?.(target, path, attributes, call), path);
  } else {
    const aside = to.rename === undefined ? path : `/${removedName()}`;
    await required(to.create?.(aside, attributes, call), path);
    try {
      await copyContent(from, to, path, aside, call);
      await setTimes(to, aside, stat, call);
      call.signal.throwIfAborted();
      if (aside !== path) await to.rename?.(aside, path, call);
    } catch (error) {
      // Whoever has given up has not given up this.
      await to.remove?.(aside, afterwards(call));
      throw error;
    }
    return;
  }
  await setTimes(to, path, stat, call);
}

async function setTimes(
  to: FileProvider,
  path: string,
  { mtimeMs, atimeMs }: ProvidedStat,
  call: ProviderCall,
): Promise<void> {
  if (mtimeMs !== undefined) await to.setAttributes?.(path, { mtimeMs, atimeMs: atimeMs ?? mtimeMs }, call);
}

async function copyContent(
  from: FileProvider,
  to: FileProvider,
  path: string,
  aside: string,
  call: ProviderCall,
): Promise<void> {
  for (let offset = 0; ;) {
    call.signal.throwIfAborted();
    const bytes = await from.read(path, offset, portion, call);
    if (bytes.length > portion) throw new TypeError(`${path}: more bytes than were asked for`);
    if (bytes.length > 0) await required(to.write?.(aside, offset, bytes, call), path);
    if (bytes.length < portion) return;
    offset += bytes.length;
  }
}

async function required<T>(done: Promise<T> | undefined, path: string): Promise<T> {
  if (done === undefined) throw systemError("EROFS", path);
  return await done;
}
