import { pipeline, type Readable, type Transform } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { ImageError } from "../../errors/index.ts";
import { splitZstdFrames } from "./zstd-frames.ts";

/** Of one piece of uncompressed data. Larger ones are not faster, and more of them wait in memory. */
const chunkBytes = 1 << 18;

/**
 * How far back zstd data may refer, as a power of two: all of it is kept in memory. 32 MiB is what the strongest level of
 * the encoder in docker, podman and umoci asks for (klauspost/compress, `SpeedBestCompression`), and `zstd -20`; RFC 8878,
 * section 3.1.1.1.2, wants 8 MiB supported. `zstd --ultra -22` and `--long` go further, to 128 MiB and more.
 */
export const maximumWindowBits = 25;

/**
 * Uncompressed bytes of a stream: gzip (RFC 1952, several members included), zstd (RFC 8878, several and skippable
 * frames included), or anything else as it is.
 */
export async function* decompress(source: Readable): AsyncGenerator<Buffer> {
  const input = asBuffers(source);
  const first = await atLeast(input, 4);
  const rest = prepend(first, input);
  const decompressor = decompressorFor(first);
  if (decompressor === null) {
    yield* rest;
    return;
  }
  const pieces = decompressor.split === null ? rest : decompressor.split(rest);
  // Errors of either side come out of the loop below.
  const output = pipeline(pieces, decompressor.stream, () => undefined);
  yield* asBuffers(output);
}

interface Decompressor {
  readonly stream: Transform;
  readonly split: ((input: AsyncIterable<Buffer>) => AsyncIterable<Buffer>) | null;
}

function decompressorFor(first: Buffer): Decompressor | null {
  if (first[0] === 0x1f && first[1] === 0x8b) {
    return { stream: createGunzip({ chunkSize: chunkBytes }), split: null };
  }
  const magic = first.length < 4 ? 0 : first.readUInt32LE(0);
  if (magic === 0xfd2f_b528 || (magic & 0xffff_fff0) >>> 0 === 0x184d_2a50) {
    const params = { [constants.ZSTD_d_windowLogMax]: maximumWindowBits };
    return { stream: createZstdDecompress({ chunkSize: chunkBytes, params }), split: splitZstdFrames };
  }
  return null;
}

/** Reads until there are `count` bytes or no more. */
async function atLeast(input: AsyncIterator<Buffer>, count: number): Promise<Buffer> {
  let first: Buffer = Buffer.alloc(0);
  while (first.length < count) {
    const next = await input.next();
    if (next.done === true) break;
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
  }
  return first;
}

async function* prepend(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  yield* rest;
}

async function* asBuffers(source: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    if (!(chunk instanceof Uint8Array))
      throw new ImageError("a layer's stream gives something other than bytes");
    yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}
