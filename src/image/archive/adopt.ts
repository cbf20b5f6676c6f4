import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { ImageError } from "../../errors/index.ts";
import { hashFor, requireDigest } from "../digest.ts";
import type { Descriptor } from "../manifest.ts";
import { ensureBlob } from "../store/blobs.ts";
import type { ImageStore } from "../store/layout.ts";
import type { SpooledFile } from "./spool.ts";

/**
 * Brings a file of an archive into the store, verified and on the disk: moves what was put aside, copies what is the
 * user's.
 *
 * @throws ImageError when it is damaged, IoError
 */
export async function adopt(
  store: ImageStore,
  descriptor: Descriptor,
  find: () => SpooledFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { digest, size } = descriptor;
  const receive = async (partialPath: string): Promise<void> => {
    const file = find();
    if (file.digest === null) {
      await copyVerified(file.path, partialPath, descriptor, signal);
      return;
    }
    await verifyFile(file, digest);
    const handle = await open(file.path, "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(file.path, partialPath);
  };
  await ensureBlob(store, { digest, size, receive }, signal);
}

/** What is hashed is what is written: the user's file may change meanwhile. */
async function copyVerified(
  from: string,
  to: string,
  { digest, size }: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const expected = requireDigest(digest, "a layer of the layout");
  const hash = hashFor(expected);
  const target = await open(to, "w", 0o600);
  try {
    let copied = 0;
    for await (const chunk of readFrom(from)) {
      signal?.throwIfAborted();
      copied += chunk.length;
      if (copied > size) throw new ImageError(`${from} is longer than ${size} bytes`);
      hash.update(chunk);
      await target.writeFile(chunk);
    }
    checkHash(hash, expected.hex, digest);
    await target.sync();
  } catch (error) {
    await unlink(to).catch(() => undefined);
    throw error;
  } finally {
    await target.close();
  }
}

async function verifyFile(file: SpooledFile, digest: string): Promise<void> {
  const expected = requireDigest(digest, "a layer of the archive");
  // What was put aside was hashed with sha256 meanwhile.
  if (expected.algorithm === "sha256") {
    if (file.digest !== digest) throw damaged(digest, file.digest ?? "unknown");
    return;
  }
  const hash = hashFor(expected);
  for await (const chunk of readFrom(file.path)) hash.update(chunk);
  checkHash(hash, expected.hex, digest);
}

function readFrom(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
}

function checkHash(hash: Hash, hex: string, digest: string): void {
  const found = hash.digest("hex");
  if (found !== hex) throw damaged(digest, `${digest.slice(0, digest.indexOf(":"))}:${found}`);
}

function damaged(digest: string, found: string): ImageError {
  return new ImageError(`${digest} of the archive is damaged: it has the digest ${found}`, {
    hint: "Save the image again.",
  });
}
