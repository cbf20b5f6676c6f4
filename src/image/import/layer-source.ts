import { createHash } from "node:crypto";
import { addAbortSignal, type Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { ImageError } from "../../errors/index.ts";
import { limitHint } from "../erofs/budget.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import type { TarReader } from "../tar/reader.ts";
import { decompress, maximumWindowBits } from "./decompress.ts";

/** One layer of an image. */
export interface LayerSource {
  /** The layer's bytes as stored: gzip, zstd or plain, told apart by their first bytes. May be called twice. */
  readonly open: () => Readable;
  /** `sha256:` and the hex digest of the uncompressed tar, as in the image's configuration. */
  readonly diffId: string;
  /** How errors call it. */
  readonly description: string;
  /** Told after every piece how many uncompressed bytes of the layer were read. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** How much is read until everything else in the process gets its turn, in bytes: 512 entries without any data. */
const turnBytes = 1 << 18;

/**
 * Reads a layer to its end, whatever stands behind the archive, because the diff id covers it all.
 *
 * @param room bytes that may come
 * @param drained awaited after every piece
 * @returns its bytes, uncompressed
 */
export async function readLayer(
  layer: LayerSource,
  reader: TarReader,
  room: number,
  drained: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (!/^sha256:[0-9a-f]{64}$/.test(layer.diffId)) {
    throw new ImageError(`the diff id ${JSON.stringify(layer.diffId)} is no sha256 digest`);
  }
  const hash = createHash("sha256");
  let bytes = 0;
  let untilTurn = turnBytes;
  const source = layer.open();
  if (signal !== undefined) addAbortSignal(signal, source);
  try {
    for await (const chunk of decompress(source)) {
      signal?.throwIfAborted();
      bytes += chunk.length;
      if (bytes > room) throw tooLarge();
      hash.update(chunk);
      for (let at = 0; at < chunk.length; at += turnBytes) {
        const piece = chunk.subarray(at, at + turnBytes);
        reader.push(piece);
        untilTurn -= piece.length;
        if (untilTurn > 0) continue;
        untilTurn = turnBytes;
        await turn();
        signal?.throwIfAborted();
      }
      layer.onProgress?.(bytes);
      await drained();
    }
  } catch (error) {
    const code = errorCode(error);
    if (error instanceof ImageError || code === undefined) throw error;
    if (code === "ZSTD_error_frameParameter_windowTooLarge") throw windowTooLarge(error);
    throw /^(Z_|ZSTD_|ERR_ZSTD)/.test(code)
      ? corrupt(error)
      : ioError(`read layer ${layer.description}`, error);
  } finally {
    source.destroy();
  }
  reader.end();
  const digest = `sha256:${hash.digest("hex")}`;
  if (digest !== layer.diffId) {
    throw new ImageError(`its content has the digest ${digest}, the image says ${layer.diffId}`, {
      hint: "The layer is damaged or is another one: remove the image and pull it again.",
    });
  }
  return bytes;
}

function tooLarge(): ImageError {
  return new ImageError("the image's layers are larger than allowed once decompressed", {
    hint: limitHint("max_unpacked_mib"),
  });
}

function windowTooLarge(error: unknown): ImageError {
  return new ImageError(`its zstd data refers back further than ${2 ** maximumWindowBits / 2 ** 20} MiB`, {
    cause: error,
    hint: "Compress the layer with zstd's levels up to 20, and without --long.",
  });
}

function corrupt(error: unknown): ImageError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ImageError(`its compressed data is corrupt: ${reason}`, {
    cause: error,
    hint: "The layer is damaged: remove the image and pull it again.",
  });
}
