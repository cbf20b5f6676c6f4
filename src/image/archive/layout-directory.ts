import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { parseDigest } from "../digest.ts";
import { SpooledArchive } from "./spool.ts";

/**
 * The files of an OCI image layout (image-spec, image-layout.md) in a directory of the user's, which are read where they
 * are. Links are followed, as other tools do: a layout may share its blobs with others, and what they are is told by their
 * digests. Pipes and devices are no part of it.
 *
 * @throws ImageError when the directory is no layout, IoError
 */
export async function readLayoutDirectory(directory: string): Promise<SpooledArchive> {
  const archive = new SpooledArchive();
  const add = async (name: string, isOptional = false): Promise<void> => {
    const path = join(directory, name);
    const found = await stat(path).catch((error: unknown) => {
      if (errorCode(error) === "ENOENT" || errorCode(error) === "ELOOP") return null;
      throw ioError(`read ${path}`, error);
    });
    if (found?.isFile() === true) archive.files.set(name, { path, size: found.size, digest: null });
    else if (found !== null) archive.unusable.set(name, "is no regular file");
    else if (!isOptional) archive.unusable.set(name, "is a link that leads nowhere");
  };
  for (const name of ["oci-layout", "index.json", "manifest.json"]) await add(name, true);
  if (archive.find("oci-layout") === undefined || archive.find("index.json") === undefined) {
    throw new ImageError(`${directory} is no OCI image layout`, {
      hint: "A layout has the files oci-layout and index.json. Archives are loaded as tar files.",
    });
  }
  for (const algorithm of ["sha256", "sha512"]) {
    for (const hex of await namesIn(join(directory, "blobs", algorithm))) {
      if (parseDigest(`${algorithm}:${hex}`) !== null) await add(`blobs/${algorithm}/${hex}`);
    }
  }
  return archive;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`read ${directory}`, error);
  }
}
