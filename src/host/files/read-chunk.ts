import type { FileHandle } from "node:fs/promises";

/** @returns how much of the buffer was filled: less than all of it only at the file's end */
export async function readChunk(file: FileHandle, into: Buffer, start: number): Promise<number> {
  let length = 0;
  while (length < into.length) {
    const { bytesRead } = await file.read(into, length, into.length - length, start + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}
