import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { parseDigest } from "../digest.ts";
import { SpooledArchive } from "./spool.ts";

/**
 * The files of an OCI image layout (image-spec, image-layout.md) in a directory of the user's, which are read where they
 * are. Only plain files count: what is behind a link or a pipe is not part of the layout.
 *
 * @throws ImageError when the directory is no layout, IoError
 */
export async function readLayoutDirectory(directory: string): Promise<SpooledArchive> {
  const archive = new SpooledArchive();
  const add = async (name: string): Promise<void> => {
    const path = join(directory, name);
    const found = await lstat(path).catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return null;
      throw ioError(`read ${path}`, error);
    });
    if (found?.isFile() === true) archive.files.set(name, { path, size: found.size, digest: null });
  };
  for (const name of ["oci-layout", "index.json", "manifest.json"]) await add(name);
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
