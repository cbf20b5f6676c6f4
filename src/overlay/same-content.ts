import { itself } from "./entries.ts";
import { open } from "node:fs/promises";
import { readChunk } from "../host/files/read-chunk.ts";

const chunkBytes = 256 * 1024;

/** Whether two files have the same in them. Neither is followed. @throws the system's error */
export async function sameContent(one: Buffer, other: Buffer): Promise<boolean> {
  const first = await open(one, itself);
  try {
    const second = await open(other, itself);
    try {
      const [a, b] = [Buffer.allocUnsafe(chunkBytes), Buffer.allocUnsafe(chunkBytes)];
      for (let at = 0; ; at += chunkBytes) {
        const [had, has] = await Promise.all([readChunk(first, a, at), readChunk(second, b, at)]);
        if (had !== has || !a.subarray(0, had).equals(b.subarray(0, has))) return false;
        if (had < chunkBytes) return true;
      }
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}
